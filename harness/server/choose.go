package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Choose picks a starter.
//
// The kind is auto, container, process, process:BINARY, or the URL of a server that runs already
// (redis://, rediss://). auto is a container where Docker answers and the image is there or can be
// pulled, else a process. process takes the first server on PATH, redis-server or valkey-server,
// and process:BINARY the program that it names. A topology of several nodes is a process under auto
// where containers cannot be one. An image that is asked for by name is used or the choice fails,
// also under auto; an empty one stands for DefaultImage, with LocalImage as its stand-in. The image
// that was settled on goes into Spec.Image; it is empty for other kinds.
//
// say, which may be nil, is told of what takes long and of what was passed over. An unknown kind or a bad URL is an ErrUsage,
// everything that is missing an ErrUnavailable.
func Choose(ctx context.Context, kind, image string, say func(string)) (start Starter, resolvedImage string, err error) {
	if say == nil {
		say = func(string) {}
	}
	switch {
	case strings.Contains(kind, "://"):
		if _, err := parseURL(kind); err != nil {
			return nil, "", err
		}
		return Attach(kind), "", nil
	case kind == KindContainer:
		resolvedImage, err = chooseImage(ctx, image, say)
		return StartContainer, resolvedImage, err
	case kind == KindProcess:
		_, err = findBinary()
		return StartProcess, "", err
	case NamesBinary(kind):
		binary, err := checkBinary(ctx, strings.TrimPrefix(kind, processPrefix))
		return processOf(binary), "", err
	case kind == KindAuto:
		return chooseAuto(ctx, image, say)
	}
	if strings.Contains(kind, "@") { // an address without its scheme, and maybe with a password
		_, err := parseURL(kind)
		return nil, "", err
	}
	return nil, "", fmt.Errorf("%w: unknown kind of server %.100q: it is auto, container, process, process:BINARY, redis://HOST:PORT or rediss://HOST:PORT", ErrUsage, kind)
}

// processPrefix stands before the program of a kind that names one.
const processPrefix = KindProcess + ":"

// NamesBinary reports whether a kind of server is process:BINARY.
func NamesBinary(kind string) bool { return strings.HasPrefix(kind, processPrefix) }

// ChooseAll is Choose for several images, all for the same starter. Each has to be there or to be pulled; the error names every
// one that is not. Where the kind has no images, and where none is named, it returns the one of Choose.
func ChooseAll(ctx context.Context, kind string, images []string, say func(string)) (Starter, []string, error) {
	named := ""
	if len(images) > 0 {
		named = images[0]
	}
	start, first, err := Choose(ctx, kind, named, say)
	resolved, errs := []string{first}, []error{err}
	if kind != KindAuto && kind != KindContainer || len(images) < 2 {
		return start, resolved, err
	}
	for _, image := range images[1:] {
		_, one, err := Choose(ctx, KindContainer, image, say)
		resolved = append(resolved, one)
		// That Docker does not answer is said once.
		if err != nil && !slices.ContainsFunc(errs, func(e error) bool { return e != nil && e.Error() == err.Error() }) {
			errs = append(errs, err)
		}
	}
	return start, resolved, errors.Join(errs...)
}

// Twice returns the first of the images that is among those before it, by whatever name ("redis" is "docker.io/library/redis:latest");
// "" where there is none.
func Twice(images []string) string {
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

// chooseImage settles on an image that is there by the time it returns.
func chooseImage(ctx context.Context, image string, say func(string)) (string, error) {
	docker, err := dialDocker(ctx)
	if err != nil {
		return "", err
	}
	defer docker.Close()
	return ensureImage(ctx, docker, image, say)
}

func chooseAuto(ctx context.Context, image string, say func(string)) (Starter, string, error) {
	resolved, noContainer := chooseImage(ctx, image, say)
	switch {
	case noContainer == nil && image == "":
		return orProcesses(StartContainer), resolved, nil
	case noContainer == nil: // what stands in a report under an image's name is its
		return StartContainer, resolved, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, "", context.Cause(ctx)
	}
	if image != "" {
		return nil, "", noContainer
	}
	binary, noProcess := findBinary()
	if noProcess == nil {
		say(fmt.Sprintf("no container (%s), so %s", reason(noContainer), binary))
		return StartProcess, "", nil
	}
	return nil, "", fmt.Errorf("%w: no container (%s) and no process (neither redis-server nor valkey-server is on PATH): "+
		"start Docker with access to %s, or install a server (%s)", ErrUnavailable, reason(noContainer), DefaultImage, installWords)
}

// reason strips the sentinel off a message that is put into another one with the same sentinel.
func reason(err error) string { return strings.TrimPrefix(err.Error(), ErrUnavailable.Error()+": ") }
