package container

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/log"

	"github.com/lockjam/lockjam/harness/server"
)

const (
	// dockerLimit bounds one request to Docker.
	dockerLimit = 5 * time.Second

	// pullLimit bounds the pull of an image.
	pullLimit = 2 * time.Minute
)

// dockerHosts returns the addresses at which Docker may listen, in the order of testcontainers-go:
// the user's DOCKER_HOST only, or else the existing ones among the usual socket and those of a
// rootless Docker and of Docker Desktop.
func dockerHosts() []string {
	if host := os.Getenv(client.EnvOverrideHost); host != "" {
		return []string{host}
	}
	sockets := []string{"/var/run/docker.sock"}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		sockets = append(sockets, filepath.Join(dir, "docker.sock"))
	}
	if home, err := os.UserHomeDir(); err == nil {
		sockets = append(sockets,
			filepath.Join(home, ".docker/run/docker.sock"), filepath.Join(home, ".docker/desktop/docker.sock"))
	}
	sockets = append(sockets, filepath.Join("/run/user", strconv.Itoa(os.Getuid()), "docker.sock"))
	var hosts []string
	for _, socket := range sockets {
		if _, err := os.Stat(socket); err == nil {
			hosts = append(hosts, "unix://"+socket)
		}
	}
	return hosts
}

// dialDocker returns a client of the first Docker that answers; the caller closes it. It uses the
// newest version of the API that both support (engine 20.10: 1.41). The error is an ErrUnavailable
// of one line.
func dialDocker(ctx context.Context) (*client.Client, error) {
	hosts := dockerHosts()
	if len(hosts) == 0 {
		return nil, server.Unavailable(ctx, "no Docker socket found")
	}
	var first error
	for _, host := range hosts {
		docker, err := dialDockerAt(ctx, host)
		if err == nil {
			return docker, nil
		}
		if first == nil {
			first = server.Unavailable(ctx, "Docker does not answer at %s: %w", host, server.OneLine(err))
		}
	}
	return nil, first
}

func dialDockerAt(ctx context.Context, host string) (*client.Client, error) {
	if !onThisMachine(host) {
		return nil, errors.New("it is on another machine, and lockjam dials only the loopback addresses of this one")
	}
	docker, err := client.New(client.FromEnv, client.WithHost(host))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, dockerLimit)
	defer cancel()
	answer, err := docker.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true})
	if err == nil && answer.OSType != "" && answer.OSType != "linux" {
		err = fmt.Errorf("it runs %s containers, and Redis needs Linux", answer.OSType)
	}
	if err != nil {
		return nil, errors.Join(err, docker.Close())
	}
	return docker, nil
}

// onThisMachine reports whether the ports that Docker publishes on 127.0.0.1 are this machine's.
func onThisMachine(host string) bool {
	parsed, err := url.Parse(host)
	if err != nil {
		return false
	}
	switch parsed.Scheme {
	case "unix", "npipe":
		return true
	}
	name := parsed.Hostname()
	return name == "localhost" || name == "::1" || strings.HasPrefix(name, "127.")
}

// ensureImage returns the image to use, and pulls it if it is missing. An empty ref stands for
// server.DefaultImage, or for the image that scripts/setup.sh builds if only that is present. An
// error is one line.
func ensureImage(ctx context.Context, docker *client.Client, ref string, say func(string)) (string, error) {
	candidates := []string{ref}
	if ref == "" {
		ref = server.DefaultImage
		candidates = []string{server.DefaultImage, server.LocalImage}
	}
	for _, candidate := range candidates {
		asking, cancel := server.Within(ctx, dockerLimit)
		_, err := docker.ImageInspect(asking, candidate)
		cancel()
		if err == nil {
			return candidate, nil
		}
		if !errdefs.IsNotFound(err) {
			return "", server.Unavailable(ctx, "look for image %s: %w", candidate, server.OneLine(err))
		}
	}
	say(fmt.Sprintf("pulling image %s (at most %v)", ref, pullLimit))
	if err := pull(ctx, docker, ref); err != nil {
		return "", server.Unavailable(ctx, "image %s is missing and cannot be pulled: %w", ref, server.OneLine(err))
	}
	return ref, nil
}

// pull pulls an image, with the credentials that docker login has stored for its registry.
func pull(ctx context.Context, docker *client.Client, ref string) error {
	ctx, cancel := context.WithTimeout(ctx, pullLimit)
	defer cancel()
	prepareTestcontainers()
	var options client.ImagePullOptions
	if _, credentials, err := testcontainers.DockerImageAuth(ctx, ref); err == nil {
		if options.RegistryAuth, err = authconfig.Encode(credentials); err != nil {
			return err
		}
	}
	response, err := docker.ImagePull(ctx, ref, options)
	if err != nil {
		return err
	}
	return response.Wait(ctx)
}

// canonical returns the full name of an image: testcontainers-go would prepend to a short name the
// registry that a user may have set for the tests of other projects
// (TESTCONTAINERS_HUB_IMAGE_NAME_PREFIX).
func canonical(ref string) string {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return ref
	}
	return reference.TagNameOnly(named).String()
}

// prepareTestcontainers configures testcontainers-go for this process, before its first use:
//
//   - Its reaper is off. The reaper is a second image that has to be pulled, and the Workspace
//     cleans up here. The value must be "true": "1" reads as false.
//   - It dials published ports on 127.0.0.1. On a machine with /.dockerenv it would assume that it
//     runs in a container, and dial Docker's gateway instead.
//   - It logs nothing: only lockjam writes to the terminal.
//
// DOCKER_HOST stays as the user has set it.
var prepareTestcontainers = sync.OnceFunc(func() {
	os.Setenv("TESTCONTAINERS_RYUK_DISABLED", "true")
	os.Setenv("TESTCONTAINERS_HOST_OVERRIDE", "127.0.0.1")
	log.SetDefault(log.NewNoopLogger())
})
