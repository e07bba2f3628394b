package result

import (
	"runtime"
	"runtime/debug"
)

// Version is lockjam's own. A release is linked with its tag:
// -ldflags "-X github.com/lockjam/lockjam/harness/result.Version=1.2.3".
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

// Environment is what a run ran on.
type Environment struct {
	Lockjam string `json:"lockjam"`
	GoRedis string `json:"go_redis"`
	Go      string `json:"go"`
	OS      string `json:"os"`
	CPUs    int    `json:"cpus"`
	Server  Server `json:"server"` // the first image's, in a run on several

	Servers []Server `json:"servers,omitempty"` // image by image, in a run on several
}

// Server is the server that an arm ran against.
type Server struct {
	ServerInfo
	Version    string `json:"version,omitempty"` // redis_version or valkey_version
	MaxClients int    `json:"maxclients,omitempty"`

	Features []Feature `json:"features,omitempty"` // as the server answered for them

	// NotReadBack are directives of the scenario of which it is not known that the server has
	// them, or that a server which lockjam did not start has otherwise and no arm there depends
	// on, each with the reason.
	NotReadBack []string `json:"not_read_back,omitempty"`
}

// ServerInfo is where a server came from.
type ServerInfo struct {
	Kind   string `json:"kind"`             // container, process or address
	Image  string `json:"image,omitempty"`  // container only
	Binary string `json:"binary,omitempty"` // process only: the path of the server program
	Addr   string `json:"addr,omitempty"`   // host:port

	// container only: shared with this machine, or published through Docker's proxy
	Network string `json:"network,omitempty"`

	Topology string `json:"topology,omitempty"` // where there is more than one node
}

// Feature is something that only some servers have, and what this one answered when it was asked for it.
type Feature struct {
	Name    string `json:"name"`
	Asked   string `json:"asked"`             // the command that the answer comes from
	Has     *bool  `json:"has"`               // null: the server would not say
	Value   string `json:"value,omitempty"`   // of a setting
	Unknown string `json:"unknown,omitempty"` // why it would not say
}
