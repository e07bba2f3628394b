package server

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
)

const (
	// dockerLimit bounds a question to Docker.
	dockerLimit = 5 * time.Second

	// pullLimit bounds the pull of an image.
	pullLimit = 2 * time.Minute
)

// dockerHosts returns where Docker may be found, in the order of testcontainers-go: the user's DOCKER_HOST alone, or the
// usual socket and those of a rootless Docker and of Docker Desktop, as far as they exist.
func dockerHosts() []string {
	if host := os.Getenv(client.EnvOverrideHost); host != "" {
		return []string{host}
	}
	sockets := []string{"/var/run/docker.sock"}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		sockets = append(sockets, filepath.Join(dir, "docker.sock"))
	}
	if home, err := os.UserHomeDir(); err == nil {
		sockets = append(sockets, filepath.Join(home, ".docker/run/docker.sock"), filepath.Join(home, ".docker/desktop/docker.sock"))
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

// dialDocker returns a client of the first Docker that answers; the caller closes it. It speaks the newest version of the
// API that both know (engine 20.10: 1.41). The error is an ErrUnavailable of one line.
func dialDocker(ctx context.Context) (*client.Client, error) {
	hosts := dockerHosts()
	if len(hosts) == 0 {
		return nil, unavailable(ctx, "Docker has no socket here")
	}
	var first error
	for _, host := range hosts {
		docker, err := dialDockerAt(ctx, host)
		if err == nil {
			return docker, nil
		}
		if first == nil {
			first = unavailable(ctx, "Docker does not answer at %s: %w", host, oneLine(err))
		}
	}
	return nil, first
}

func dialDockerAt(ctx context.Context, host string) (*client.Client, error) {
	if !onThisMachine(host) {
		return nil, errors.New("it is another machine's, and lockjam only dials the loopback addresses of this one")
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

// onThisMachine reports whether the ports that Docker publishes on 127.0.0.1 are ours to dial.
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

// ensureImage makes sure that the image is there, and pulls it otherwise. An empty ref stands for DefaultImage, or the image
// that scripts/setup.sh builds where only that is there. It returns the image to use; an error is one line.
func ensureImage(ctx context.Context, docker *client.Client, ref string, say func(string)) (string, error) {
	candidates := []string{ref}
	if ref == "" {
		ref = DefaultImage
		candidates = []string{DefaultImage, LocalImage}
	}
	for _, candidate := range candidates {
		asking, cancel := Within(ctx, dockerLimit)
		_, err := docker.ImageInspect(asking, candidate)
		cancel()
		if err == nil {
			return candidate, nil
		}
		if !errdefs.IsNotFound(err) {
			return "", unavailable(ctx, "look for image %s: %w", candidate, oneLine(err))
		}
	}
	say(fmt.Sprintf("pulling image %s (at most %v)", ref, pullLimit))
	if err := pull(ctx, docker, ref); err != nil {
		return "", unavailable(ctx, "image %s is not here and cannot be pulled: %w", ref, oneLine(err))
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

// canonical names an image in full: a short name would be looked up behind the registry prefix that a user may have set for
// the tests of other projects (TESTCONTAINERS_HUB_IMAGE_NAME_PREFIX).
func canonical(ref string) string {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return ref
	}
	return reference.TagNameOnly(named).String()
}

// prepareTestcontainers sets testcontainers-go up for this process, before its first use:
//
//   - Its reaper is off. The reaper is a second image that has to be pulled, and cleaning up is the Workspace's job here.
//     The word has to be "true": "1" reads as false.
//   - It dials published ports on 127.0.0.1. On a machine with /.dockerenv it would take itself for a container and dial
//     Docker's gateway instead.
//   - It says nothing: what lockjam prints is lockjam's.
//
// DOCKER_HOST stays as the user has it.
var prepareTestcontainers = sync.OnceFunc(func() {
	os.Setenv("TESTCONTAINERS_RYUK_DISABLED", "true")
	os.Setenv("TESTCONTAINERS_HOST_OVERRIDE", "127.0.0.1")
	log.SetDefault(log.NewNoopLogger())
})

// lined is an error of somebody else on one line.
type lined struct{ error }

func (l lined) Error() string { return strings.Join(strings.Fields(l.error.Error()), " ") }
func (l lined) Unwrap() error { return l.error }

// oneLine is for the errors of others, which may have many.
func oneLine(err error) error { return lined{err} }

// unavailable is an ErrUnavailable, unless it was the caller who gave up.
func unavailable(ctx context.Context, format string, arguments ...any) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, fmt.Errorf(format, arguments...))
}
