package remedies

import (
	"context"
	"strconv"
	"time"
)

// What an operator does once and sees no good of is done again.
var (
	timesParam = Param{Name: "times", Default: "1", Check: wholeNumber(1, 100)}
	pauseParam = Param{Name: "pause_ms", Default: "250", Check: wholeNumber(0, 60_000)} // from one time to the next
)

// again does it as often as the parameters say. The first error ends it.
func again(ctx context.Context, in *Handle, once func() error) error {
	times, _ := strconv.Atoi(in.Params[timesParam.Name])
	ms, _ := strconv.Atoi(in.Params[pauseParam.Name])
	for i := range times {
		if i > 0 {
			select {
			case <-time.After(time.Duration(ms) * time.Millisecond):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err := once(); err != nil {
			return err
		}
	}
	return nil
}
