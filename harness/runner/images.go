package runner

import (
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/server"
)

// serversOf is what is known of the servers before any of them has run; nil unless
// there are several.
func serversOf(images []string) []result.Server {
	if len(images) < 2 {
		return nil
	}
	var servers []result.Server
	for _, image := range images {
		servers = append(servers, result.Server{ServerInfo: result.ServerInfo{Kind: server.KindContainer,
			Image: image}})
	}
	return servers
}
