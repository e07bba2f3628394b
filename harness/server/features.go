package server

import (
	"context"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Feature is something that some servers have and others have not. The server is asked for it: a version says nothing of
// forks, of what a build leaves out, and of what a provider has taken away.
type Feature struct {
	Name    string `json:"name"`
	Asked   string `json:"asked"`             // the command that the answer comes from
	Has     *bool  `json:"has"`               // null: the server would not say
	Value   string `json:"value,omitempty"`   // of a setting
	Unknown string `json:"unknown,omitempty"` // why it would not say
}

// The features that are asked for.
const (
	// FeatureDelex is DELEX key IFEQ value, which deletes a lock in one step if it is still one's own (Redis 8.4).
	FeatureDelex = "DELEX"

	// FeatureDelifeq is DELIFEQ key value, which does the same (Valkey 9.0).
	FeatureDelifeq = "DELIFEQ"

	// FeatureReset is RESET, with which a client library cleans a connection that it takes back into its pool (Redis 6.2).
	FeatureReset = "RESET"

	// FeatureReserved is the setting that keeps slots within maxclients for chosen clients (valkey-io/valkey#4005; KeyDB has
	// one of the same name): with it an operator gets in where everybody else is refused. 0 reserves none.
	FeatureReserved = "maxclients-reserved"

	// FeatureInfoLimit is maxclients in INFO clients: without it the limit is known only to who may run CONFIG GET.
	FeatureInfoLimit = "maxclients in INFO"
)

// AskFeatures asks a server what it has, over a connection that is open. What it does not answer is unknown, and the feature
// says why: it is no error, for a managed service may forbid any of the questions.
func AskFeatures(ctx context.Context, c *redis.Client) []Feature {
	return []Feature{
		askCommand(ctx, c, FeatureDelex), askCommand(ctx, c, FeatureDelifeq), askCommand(ctx, c, FeatureReset),
		askSetting(ctx, c, FeatureReserved), askInfoLimit(ctx, c),
	}
}

// answer finishes a feature with what was found out, or with why nothing was.
func (f Feature) answer(has bool, err error) Feature {
	if err != nil {
		f.Unknown = oneLine(err).Error()
		return f
	}
	f.Has = &has
	return f
}

// askCommand: of a command that the server does not know, COMMAND INFO says nothing (nil, or no entry at all).
func askCommand(ctx context.Context, c *redis.Client, name string) Feature {
	f := Feature{Name: name, Asked: "COMMAND INFO " + name}
	entries, err := c.Do(ctx, "COMMAND", "INFO", name).Slice()
	return f.answer(len(entries) > 0 && entries[0] != nil, err)
}

func askSetting(ctx context.Context, c *redis.Client, name string) Feature {
	f := Feature{Name: name, Asked: "CONFIG GET " + name}
	values, err := c.ConfigGet(ctx, name).Result()
	value, has := values[name]
	f.Value = value
	return f.answer(has, err)
}

func askInfoLimit(ctx context.Context, c *redis.Client) Feature {
	f := Feature{Name: FeatureInfoLimit, Asked: "INFO clients"}
	text, err := c.Info(ctx, "clients").Result()
	return f.answer(strings.Contains("\n"+text, "\nmaxclients:"), err)
}
