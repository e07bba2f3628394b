package container_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/server/container"
)

func TestMissingImage(t *testing.T) {
	needImage(t)
	// This registry refuses at once, and Docker does not replace it by another.
	const image = "127.0.0.1:9/lockjam/no-such-image:1"
	var notes []string
	say := func(s string) { notes = append(notes, s) }
	_, _, err := container.Choose(t.Context(), server.KindContainer, image, say)
	wantOneLine(t, err, image, "cannot be pulled", "refused")
	if !errors.Is(err, server.ErrUnavailable) {
		t.Errorf("not ErrUnavailable: %v", err)
	}
	if len(notes) != 1 || !strings.Contains(notes[0], "pulling image "+image) {
		t.Errorf("notes %q", notes)
	}
	w := newWorkspace(t)
	_, err = container.Start(t.Context(), server.Spec{Config: small, Image: image, Workspace: w, Name: "missing"})
	wantOneLine(t, err, image)
	nothingLeft(t, w)
}

func TestUnknownKind(t *testing.T) {
	for kind, words := range map[string][]string{
		"":                                  {"unknown kind", "auto, container, process"},
		"podman":                            {`"podman"`},
		"redis://127.0.0.1:port":            {"redis://"},
		"redis://127.0.0.1:6379/0?bogus=1":  {"bogus"},
		"redis://u:secret@127.0.0.1:port":   {"not repeated"},
		"redis://u:secret@h:1/x?read_time=": {"not repeated"},

		// Special characters in a password must be percent-encoded.
		"redis://:sec/secret@h:1":       {"%2F", "not repeated"},
		"redis://:secret?x@h:1":         {"%3F", "not repeated"},
		"redis://:secret#x@h:1":         {"%23", "not repeated"},
		"redis://u:6379#secret@h:1":     {"%23", "not repeated"},
		"redis://u:12/secret@h:1":       {"%2F", "not repeated"},
		"redis://:secret%x@h:1":         {"%25", "not repeated"},
		"redis://:secret x@h:1":         {"percent-encode"},
		"redis://:a@secret/x@h:1":       {"percent-encode"},
		"u:secret@h:1":                  {"redis://HOST:PORT"},
		"unix:///run/redis.sock":        {"Unix sockets", "redis://HOST:PORT"},
		"unix://u:secret@/x.sock":       {"Unix sockets"},
		"valkey://u:secret@h:1":         {`"valkey"`, "use redis://"},
		"valkeys://h:1":                 {`"valkeys"`, "use rediss://"},
		"https://h:1":                   {`"https"`, "use rediss://"},
		"redis-sentinel://u:secret@h:1": {"use redis://"},
		"redis://h:1/-1":                {"invalid database number -1"},
		"redis://h:99999":               {"invalid port 99999"},
		"redis://h:0":                   {"invalid port 0"},
	} {
		_, _, err := container.Choose(t.Context(), kind, "", nil)
		wantOneLine(t, err, words...)
		if !errors.Is(err, server.ErrUsage) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", kind, err)
		}
	}
}

func TestAddressWithoutServer(t *testing.T) {
	starter, image, err := container.Choose(t.Context(), "redis://127.0.0.1:9", "", nil)
	if err != nil || image != "" {
		t.Fatal(image, err)
	}
	_, err = starter(t.Context(), server.Spec{})
	wantOneLine(t, err, "127.0.0.1:9", "refused")
	if !errors.Is(err, server.ErrUnavailable) {
		t.Errorf("not ErrUnavailable: %v", err)
	}
}

func TestWithoutDocker(t *testing.T) {
	for name, host := range map[string]string{
		"gone":            "unix:///nonexistent/docker.sock",
		"another machine": "tcp://192.0.2.1:2375", // never dialled
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("DOCKER_HOST", host)
			_, _, err := container.Choose(t.Context(), server.KindContainer, "", nil)
			wantOneLine(t, err, host)
			if !errors.Is(err, server.ErrUnavailable) {
				t.Errorf("not ErrUnavailable: %v", err)
			}
			_, err = container.Start(t.Context(),
				server.Spec{Config: small, Workspace: newWorkspace(t), Name: "no-docker"})
			wantOneLine(t, err, host)

			t.Run("auto is a process", func(t *testing.T) {
				needProcess(t)
				var notes []string
				say := func(s string) { notes = append(notes, s) }
				starter, image, err := container.Choose(t.Context(), server.KindAuto, "", say)
				if err != nil || image != "" {
					t.Fatal(image, err)
				}
				s := start(t, starter, server.Spec{Config: small, Workspace: newWorkspace(t), Name: "auto"})
				if s.Info().Kind != server.KindProcess {
					t.Errorf("auto has started %+v", s.Info())
				}
				if len(notes) != 1 || !strings.Contains(notes[0], host) {
					t.Errorf("notes %q", notes)
				}
			})
			t.Run("auto without a server on PATH", func(t *testing.T) {
				onlyOnPath(t, "", "")
				for _, kind := range []string{server.KindAuto, server.KindProcess} {
					_, _, err := container.Choose(t.Context(), kind, "", nil)
					wantOneLine(t, err, "apt-get install redis-server", "brew install redis", "on PATH")
					if !errors.Is(err, server.ErrUnavailable) {
						t.Errorf("not ErrUnavailable: %v", err)
					}
				}
			})
		})
	}
}

func TestAutoIsAContainer(t *testing.T) {
	image := needImage(t)
	_, got, err := container.Choose(t.Context(), server.KindAuto, os.Getenv("LOCKJAM_REDIS_IMAGE"), nil)
	if err != nil || got != image {
		t.Errorf("auto takes image %q instead of %q: %v", got, image, err)
	}
}

// The error names every missing image, each on a line of its own, and no other image.
func TestMissingImages(t *testing.T) {
	present := needImage(t)
	const one, other = "127.0.0.1:9/lockjam/no-such-image:1", "127.0.0.1:9/lockjam/no-such-image:2"
	for _, kind := range []string{server.KindContainer, server.KindAuto} {
		_, _, err := container.ChooseAll(t.Context(), kind, []string{one, present, other}, nil)
		if err == nil || !errors.Is(err, server.ErrUnavailable) {
			t.Fatalf("not ErrUnavailable: %v", err)
		}
		lines := strings.Split(err.Error(), "\n")
		if len(lines) != 2 || !strings.Contains(lines[0], one) || !strings.Contains(lines[1], other) {
			t.Errorf("%q", lines)
		}
	}
	t.Setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
	_, _, err := container.ChooseAll(t.Context(), server.KindAuto, []string{one, other}, nil)
	wantOneLine(t, err, "/nonexistent/docker.sock")
}

// Only containers have images. A single image is chosen as Choose does.
func TestChooseAll(t *testing.T) {
	_, images, err := container.ChooseAll(t.Context(), "redis://127.0.0.1:9", []string{"redis:7", "redis:8"}, nil)
	if err != nil || !slices.Equal(images, []string{""}) {
		t.Errorf("an address has images %q: %v", images, err)
	}
	present := needImage(t)
	for _, asked := range [][]string{nil, {present}} {
		_, images, err := container.ChooseAll(t.Context(), server.KindContainer, asked, nil)
		if err != nil || len(images) != 1 || images[0] == "" {
			t.Errorf("%q: %q, %v", asked, images, err)
		}
	}
}

func TestFirstDuplicate(t *testing.T) {
	for _, c := range []struct {
		images []string
		want   string
	}{
		{nil, ""},
		{[]string{"redis:7", "redis:8", "valkey/valkey:8", "mirror.example/redis:7"}, ""},
		{[]string{"redis:7", "redis:8", "redis:7"}, "redis:7"},
		{[]string{"redis", "docker.io/library/redis:latest"}, "docker.io/library/redis:latest"},
		// Not a valid name of an image, but still a duplicate.
		{[]string{"No!", "No!"}, "No!"},
	} {
		if got := container.FirstDuplicate(c.images); got != c.want {
			t.Errorf("%q: got %q, want %q", c.images, got, c.want)
		}
	}
}
