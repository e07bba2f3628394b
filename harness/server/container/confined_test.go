package container_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	dockercontainer "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/server/container"
)

// likeOfficial makes an image like the official ones: the data belong to a user of the image, to
// which the entrypoint switches. Without capabilities that entrypoint fails, so a server that
// starts was started without it.
func likeOfficial(t *testing.T, image string, changes ...string) string {
	t.Helper()
	d := docker(t)
	made, err := d.ContainerCreate(t.Context(), client.ContainerCreateOptions{
		Config: &dockercontainer.Config{Image: image, Cmd: []string{"none"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = d.ContainerRemove(t.Context(), made.ID, client.ContainerRemoveOptions{}) }()
	ref := "lockjam-test-" + strings.ToLower(t.Name()[strings.LastIndex(t.Name(), "/")+1:]) + ":1"
	commit := client.ContainerCommitOptions{Reference: ref, Changes: changes}
	if _, err := d.ContainerCommit(t.Context(), made.ID, commit); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := d.ImageRemove(context.Background(), ref, client.ImageRemoveOptions{}); err != nil {
			t.Error(err)
		}
	})
	return ref
}

// A container has no capabilities, and its server still works: it saves, rewrites its redis.conf,
// and keeps its data across a restart.
func TestContainersAreConfined(t *testing.T) {
	plain := needImage(t)
	for _, c := range []struct {
		name  string
		image func(t *testing.T) string
	}{
		{"plain", func(*testing.T) string { return plain }},
		{"entrypoint", func(t *testing.T) string {
			return likeOfficial(t, plain, `ENTRYPOINT ["docker-entrypoint.sh"]`, "VOLUME /data", `CMD ["redis-server"]`)
		}},
		{"user", func(t *testing.T) string { return likeOfficial(t, plain, "USER 999:999", "VOLUME /data") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := small.With(server.Config{"save": "3600 1"})
			spec := server.Spec{Config: config, Image: c.image(t), Workspace: newWorkspace(t), Name: "confined"}
			s := start(t, container.Start, spec)
			checkConfined(t)
			control := openControl(t, s)
			if err := control.Admin.Set(t.Context(), "lock:a", "1", 0).Err(); err != nil {
				t.Fatal(err)
			}
			if err := control.Admin.Save(t.Context()).Err(); err != nil {
				t.Error(err)
			}
			if err := control.Admin.ConfigRewrite(t.Context()).Err(); err != nil {
				t.Error(err)
			}
			if err := s.Restart(t.Context(), config); err != nil {
				t.Fatal(err)
			}
			if n, err := openControl(t, s).Admin.Exists(t.Context(), "lock:a").Result(); err != nil || n != 1 {
				t.Errorf("after a restart: %d, %v", n, err)
			}
		})
	}
}

// checkConfined inspects the container of this test.
func checkConfined(t *testing.T) {
	t.Helper()
	d := docker(t)
	filters := client.Filters{}.Add("label", "dev.lockjam.run=test").Add("name", "confined")
	found, err := d.ContainerList(t.Context(), client.ContainerListOptions{Filters: filters})
	if err != nil || len(found.Items) == 0 {
		t.Fatal(len(found.Items), err)
	}
	for _, item := range found.Items {
		answer, err := d.ContainerInspect(t.Context(), item.ID, client.ContainerInspectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		host := answer.Container.HostConfig
		if !slices.Equal(host.CapDrop, []string{"ALL"}) || len(host.CapAdd) > 0 || host.Privileged ||
			!slices.Contains(host.SecurityOpt, "no-new-privileges") {
			t.Errorf("capabilities -%q +%q, %q", host.CapDrop, host.CapAdd, host.SecurityOpt)
		}
	}
}
