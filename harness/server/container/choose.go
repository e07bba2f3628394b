package container

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/server/process"
)

// Choose picks a starter.
//
// The kind is auto, container, process, process:BINARY, or the URL of a server that runs already
// (redis://, rediss://). auto is a container if Docker answers and the image is present or can be
// pulled, else a process. process takes the first server on PATH, redis-server or valkey-server,
// and process:BINARY the named program. Under auto, a topology of several nodes is started from
// processes if it cannot be started from containers. A named image is used or the choice fails,
// also under auto; an empty image stands for server.DefaultImage, with server.LocalImage as its
// substitute. resolvedImage belongs in Spec.Image; it is empty for other kinds.
//
// Choose reports slow steps and rejected alternatives to say, which may be nil. An unknown kind or
// a bad URL is an ErrUsage, anything missing an ErrUnavailable.
func Choose(
	ctx context.Context, kind, image string, say func(string),
) (start server.Starter, resolvedImage string, err error) {
	if say == nil {
		say = func(string) {}
	}
	switch {
	case strings.Contains(kind, "://"):
		if _, err := server.ParseURL(kind); err != nil {
			return nil, "", err
		}
		return server.Attach(kind), "", nil
	case kind == server.KindContainer:
		resolvedImage, err = chooseImage(ctx, image, say)
		return Start, resolvedImage, err
	case kind == server.KindProcess:
		_, err = process.Find()
		return process.Start, "", err
	case NamesBinary(kind):
		binary, err := process.Check(ctx, strings.TrimPrefix(kind, processPrefix))
		return process.Starter(binary), "", err
	case kind == server.KindAuto:
		return chooseAuto(ctx, image, say)
	}
	if strings.Contains(kind, "@") { // an address without its scheme, maybe with a password
		_, err := server.ParseURL(kind)
		return nil, "", err
	}
	return nil, "", fmt.Errorf("%w: unknown kind of server %.100q: use auto, container, process, process:BINARY, "+
		"redis://HOST:PORT or rediss://HOST:PORT", server.ErrUsage, kind)
}

// processPrefix precedes the program in a kind that names one.
const processPrefix = server.KindProcess + ":"

// NamesBinary reports whether a kind of server is process:BINARY.
func NamesBinary(kind string) bool { return strings.HasPrefix(kind, processPrefix) }

// ChooseAll is Choose for several images with the same starter. Each must be present or be pulled;
// the error names every one that is not. If the kind has no images, or none is named, it returns
// the image that Choose returns.
func ChooseAll(ctx context.Context, kind string, images []string, say func(string)) (server.Starter, []string, error) {
	first := ""
	if len(images) > 0 {
		first = images[0]
	}
	start, image, err := Choose(ctx, kind, first, say)
	resolved, errs := []string{image}, []error{err}
	if kind != server.KindAuto && kind != server.KindContainer || len(images) < 2 {
		return start, resolved, err
	}
	for _, named := range images[1:] {
		_, image, err := Choose(ctx, server.KindContainer, named, say)
		resolved = append(resolved, image)
		// That Docker does not answer is reported once.
		if err != nil && !slices.ContainsFunc(errs,
			func(e error) bool { return e != nil && e.Error() == err.Error() }) {
			errs = append(errs, err)
		}
	}
	return start, resolved, errors.Join(errs...)
}

// FirstDuplicate returns the first image that an earlier one already names, in whatever notation
// ("redis" is "docker.io/library/redis:latest"); "" if there is none.
func FirstDuplicate(images []string) string {
	seen := map[string]bool{}
	for _, image := range images {
		name := canonical(image)
		if seen[name] {
			return image
		}
		seen[name] = true
	}
	return ""
}

// chooseImage returns an image that is present by then.
func chooseImage(ctx context.Context, image string, say func(string)) (string, error) {
	docker, err := dialDocker(ctx)
	if err != nil {
		return "", err
	}
	defer docker.Close()
	return ensureImage(ctx, docker, image, say)
}

func chooseAuto(ctx context.Context, image string, say func(string)) (server.Starter, string, error) {
	resolved, noContainer := chooseImage(ctx, image, say)
	switch {
	case noContainer == nil && image == "":
		return orProcesses(Start), resolved, nil
	case noContainer == nil: // a report must not show results of another server under the image's name
		return Start, resolved, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, "", context.Cause(ctx)
	}
	if image != "" {
		return nil, "", noContainer
	}
	binary, noProcess := process.Find()
	if noProcess == nil {
		say(fmt.Sprintf("no container (%s): using %s", reason(noContainer), binary))
		return process.Start, "", nil
	}
	return nil, "", fmt.Errorf("%w: no container (%s) and no process "+
		"(neither redis-server nor valkey-server is on PATH): start Docker with access to %s, or install a server (%s)",
		server.ErrUnavailable, reason(noContainer), server.DefaultImage, server.InstallAdvice)
}

// orProcesses starts from processes a topology that start refuses.
func orProcesses(start server.Starter) server.Starter {
	return func(ctx context.Context, spec server.Spec) (server.Server, error) {
		s, refused := start(ctx, spec)
		if !errors.Is(refused, server.ErrTopology) {
			return s, refused
		}
		if _, err := process.Find(); err != nil {
			return nil, refused // which says what to do about it
		}
		return process.Start(ctx, spec)
	}
}

// reason removes the text of the sentinel from an error that becomes part of another with the same
// sentinel.
func reason(err error) string {
	return strings.TrimPrefix(err.Error(), server.ErrUnavailable.Error()+": ")
}
