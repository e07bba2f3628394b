package container

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/client"

	"github.com/lockjam/lockjam/harness/server"
)

// Leftovers returns the containers that dead runs have left in Docker, for [server.Sweep]. The
// error is an ErrUnavailable if Docker does not answer.
func Leftovers(ctx context.Context) (server.Containers, error) {
	docker, err := dialDocker(ctx)
	if err != nil {
		return nil, err
	}
	return leftovers{docker}, nil
}

type leftovers struct{ docker *client.Client }

func (l leftovers) Close() error { return l.docker.Close() }

func (l leftovers) RemoveOf(ctx context.Context, workspace string, removed func(name, run string)) error {
	all := func(string, time.Time) bool { return true }
	return l.remove(ctx, client.Filters{}.Add("label", labelWorkspace+"="+workspace), all, removed)
}

func (l leftovers) RemoveStrays(ctx context.Context, removed func(name, run string)) error {
	stray := func(workspace string, created time.Time) bool {
		_, err := os.Lstat(workspace)
		return errors.Is(err, fs.ErrNotExist) && time.Since(created) > strayAge
	}
	return l.remove(ctx, client.Filters{}.Add("label", labelWorkspace), stray, removed)
}

// strayAge is the age from which a container without a workspace belongs to a dead run. A live run
// may have a /tmp of its own, as services with PrivateTmp do, and share this Docker: its workspace
// is not visible from here. Runs take minutes.
var strayAge = 24 * time.Hour // a variable only for the tests

// remove removes the containers of this host that pass the filters and whose run is dead.
func (l leftovers) remove(
	ctx context.Context, filters client.Filters,
	dead func(workspace string, created time.Time) bool, removed func(name, run string),
) error {
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	filters = filters.Add("label", labelHost+"="+host).Add("label", labelRun)
	asking, cancel := server.Within(ctx, cleanupLimit)
	defer cancel()
	found, err := l.docker.ContainerList(asking, client.ContainerListOptions{All: true, Filters: filters})
	if err != nil {
		return fmt.Errorf("list containers: %w", server.OneLine(err))
	}
	var errs []error
	for _, c := range found.Items {
		if !dead(c.Labels[labelWorkspace], time.Unix(c.Created, 0)) {
			continue
		}
		if err := removeContainer(ctx, l.docker, c.ID); err != nil {
			errs = append(errs, err)
			continue
		}
		removed(strings.TrimPrefix(slices.Concat(c.Names, []string{c.ID})[0], "/"), c.Labels[labelRun])
	}
	return errors.Join(errs...)
}
