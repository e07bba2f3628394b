package runner

import (
	"context"
	"encoding/json"
	"path/filepath"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/rundir"
	"github.com/lockjam/lockjam/harness/sampler"
	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/swarm"
)

// armEnvironment is environment.json: everything that an arm ran with.
type armEnvironment struct {
	result.Environment
	Scenario string         `json:"scenario"`
	Arm      string         `json:"arm"`
	Seed     uint64         `json:"seed"`
	Prefix   string         `json:"prefix"` // of every key
	Swarm    swarm.Settings `json:"swarm"`  // with go-redis's options, none of them left to its defaults
}

// environment asks the server what it is and writes environment.json, with the settings that could not be read back.
func environment(ctx context.Context, a *armRun, unread []string) (result.Server, error) {
	info, err := sampler.ReadInfo(ctx, a.host.control.Admin, "server")
	if err != nil {
		return result.Server{}, err
	}
	env := armEnvironment{
		Environment: result.ThisEnvironment(), Scenario: a.sc.Name, Arm: a.arm.Name, Seed: a.seed, Prefix: a.prefix,
		Swarm: a.sc.Swarm,
	}
	env.Server = result.Server{ServerInfo: infoOf(a.host.server), Version: "redis " + info["redis_version"],
		MaxClients: a.sc.Server.MaxClients}
	if v := info["valkey_version"]; v != "" {
		env.Server.Version = "valkey " + v
	}
	for _, f := range server.AskFeatures(ctx, a.host.control.Admin) {
		env.Server.Features = append(env.Server.Features, result.Feature(f))
	}
	env.Server.NotReadBack = unread
	data, err := json.MarshalIndent(env, "", "  ")
	if err != nil {
		return env.Server, err
	}
	if err := history.WriteFile(filepath.Join(a.folder, rundir.EnvironmentFile), append(data, '\n')); err != nil {
		return env.Server, rundir.Fault(err)
	}
	return env.Server, nil
}

// infoOf is where a server came from, as it is recorded.
func infoOf(s server.Server) result.ServerInfo {
	i := s.Info()
	return result.ServerInfo{Kind: i.Kind, Image: i.Image, Binary: i.Binary, Addr: i.Addr, Network: i.Network,
		Topology: string(i.Topology)}
}
