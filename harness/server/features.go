package server

import (
	"context"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Feature is a capability that not every server has. lockjam asks the server for it: the version
// does not tell what a fork, a build or a provider has removed.
type Feature struct {
	Name    string `json:"name"`
	Asked   string `json:"asked"`             // the command that the answer comes from
	Has     *bool  `json:"has"`               // null: the server does not tell
	Value   string `json:"value,omitempty"`   // of a setting
	Unknown string `json:"unknown,omitempty"` // why the server does not tell
}

// The features that AskFeatures asks for.
const (
	// FeatureDelex is DELEX key IFEQ value, which deletes a lock atomically if its value still
	// matches (Redis 8.4).
	FeatureDelex = "DELEX"

	// FeatureDelifeq is DELIFEQ key value, which does the same (Valkey 9.0).
	FeatureDelifeq = "DELIFEQ"

	// FeatureReset is RESET, with which a client library resets a connection that returns to its
	// pool (Redis 6.2).
	FeatureReset = "RESET"

	// FeatureReserved is the setting that reserves slots within maxclients for chosen clients
	// (valkey-io/valkey#4005; KeyDB has one of the same name): with it an operator can still
	// connect when all others are refused. 0 reserves none.
	FeatureReserved = "maxclients-reserved"

	// FeatureInfoLimit is maxclients in INFO clients: without it only users who may run CONFIG GET
	// learn the limit.
	FeatureInfoLimit = "maxclients in INFO"
)

// AskFeatures asks a server for its features over an open connection. A refused question is no
// error, because a managed service may forbid any of them: that feature is unknown, with the
// reason.
func AskFeatures(ctx context.Context, c *redis.Client) []Feature {
	return []Feature{
		askCommand(ctx, c, FeatureDelex), askCommand(ctx, c, FeatureDelifeq), askCommand(ctx, c, FeatureReset),
		askSetting(ctx, c, FeatureReserved), askInfoLimit(ctx, c),
	}
}

// answer returns the feature with the server's answer, or with the error as the reason why it is
// unknown.
func (f Feature) answer(has bool, err error) Feature {
	if err != nil {
		f.Unknown = OneLine(err).Error()
		return f
	}
	f.Has = &has
	return f
}

// askCommand asks for a command. For an unknown one COMMAND INFO returns nil, or no entry at all.
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
