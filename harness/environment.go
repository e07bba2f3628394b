package harness

import (
	"context"
	"encoding/json"
	"path/filepath"
	"runtime"
	"runtime/debug"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/swarm"
	"github.com/lockjam/lockjam/harness/watch"
)

// Version is lockjam's own. A release is linked with its tag:
// -ldflags "-X github.com/lockjam/lockjam/harness.Version=1.2.3".
var Version = "0.1.0"

// ThisEnvironment describes the machine and the libraries.
func ThisEnvironment() Environment {
	return Environment{
		Lockjam: Version, GoRedis: moduleVersion("github.com/redis/go-redis/v9"), Go: runtime.Version(),
		OS: runtime.GOOS + "/" + runtime.GOARCH, CPUs: runtime.NumCPU(),
	}
}

// moduleVersion reads what was linked in, a replacement first: a library's
// maintainers run lockjam against a checkout of their own.
func moduleVersion(path string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, m := range info.Deps {
		switch {
		case m.Path != path:
		case m.Replace != nil:
			return m.Version + " => " + m.Replace.Path + " " + m.Replace.Version
		default:
			return m.Version
		}
	}
	return "unknown"
}

// armEnvironment is environment.json: everything that an arm ran with.
type armEnvironment struct {
	Environment
	Scenario string         `json:"scenario"`
	Arm      string         `json:"arm"`
	Seed     uint64         `json:"seed"`
	Prefix   string         `json:"prefix"` // of every key
	Swarm    swarm.Settings `json:"swarm"`  // with go-redis's options, none of them left to its defaults
}

// environment asks the server what it is and writes environment.json, with the settings that could not be read back.
func (a *armRun) environment(ctx context.Context, unread []string) (ServerEnvironment, error) {
	info, err := watch.ReadInfo(ctx, a.control.Admin, "server")
	if err != nil {
		return ServerEnvironment{}, err
	}
	env := armEnvironment{
		Environment: ThisEnvironment(), Scenario: a.sc.Name, Arm: a.arm.Name, Seed: a.seed, Prefix: a.prefix, Swarm: a.sc.Swarm,
	}
	env.Server = ServerEnvironment{ServerInfo: infoOf(a.server), Version: "redis " + info["redis_version"], MaxClients: a.sc.Server.MaxClients}
	if v := info["valkey_version"]; v != "" {
		env.Server.Version = "valkey " + v
	}
	for _, f := range server.AskFeatures(ctx, a.control.Admin) {
		env.Server.Features = append(env.Server.Features, Feature(f))
	}
	env.Server.NotReadBack = unread
	data, err := json.MarshalIndent(env, "", "  ")
	if err != nil {
		return env.Server, err
	}
	if err := history.WriteFile(filepath.Join(a.folder, environmentFile), append(data, '\n')); err != nil {
		return env.Server, faultOf(err)
	}
	return env.Server, nil
}

// infoOf is where a server came from, as it is recorded.
func infoOf(s server.Server) ServerInfo {
	i := s.Info()
	return ServerInfo{Kind: i.Kind, Image: i.Image, Binary: i.Binary, Addr: i.Addr, Network: i.Network, Topology: string(i.Topology)}
}
