package container_test

import (
	"slices"
	"testing"

	"github.com/moby/moby/api/types/system"

	"github.com/lockjam/lockjam/harness/server/container"
)

func TestNetworkOfAContainer(t *testing.T) {
	here := system.Info{
		Name: "box", KernelVersion: "6.1.0-13-amd64",
		SecurityOptions: []string{"name=seccomp,profile=builtin", "name=cgroupns"},
	}
	for _, c := range []struct {
		name   string
		change func(*system.Info)
		shares bool
	}{
		{"Docker on this machine", func(*system.Info) {}, true},
		{"Docker Desktop on WSL has this machine's kernel", func(i *system.Info) { i.Name = "docker-desktop" }, false},
		{"a virtual machine may copy the name", func(i *system.Info) { i.KernelVersion = "6.6.12-linuxkit" }, false},
		{"rootless", func(i *system.Info) { i.SecurityOptions = append(i.SecurityOptions, "name=rootless") }, false},
		{"users are remapped", func(i *system.Info) { i.SecurityOptions = append(i.SecurityOptions, "name=userns") },
			false},
	} {
		info := here
		info.SecurityOptions = slices.Clone(here.SecurityOptions)
		c.change(&info)
		if got := container.Shares(info, "box", "6.1.0-13-amd64"); got != c.shares {
			t.Errorf("%s: shares the network: %t", c.name, got)
		}
	}
}
