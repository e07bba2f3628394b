package swarm

import (
	"crypto/tls"
	"fmt"
	"slices"
)

// Target is the server that the swarm works against. Addr is the one that is
// watched: where there are several, its slots are those that workers are said to
// hold.
type Target struct {
	Addr, Username, Password string
	DB                       int
	TLS                      *tls.Config

	// Sentinels are asked for the primary of that name; none: Addr is dialled.
	Sentinels []string
	Primary   string

	// Shards are the nodes of a cluster, Addr the first of them; none: it is no
	// cluster. Of n, shard i has the hash slots from i*16384/n on, and the tenants
	// are shared out in turn: tenant 0 is on the first.
	Shards []string
}

// beside reports whether an address is not the watched server's. After a failover that
// is at another address: of those that share the work none but the Sentinels
// stands beside it.
func (t Target) beside(addr string) bool {
	if len(t.Shards) > 0 {
		return addr != t.Addr
	}
	return slices.Contains(t.Sentinels, addr)
}

// shardOf is the number of the shard that has a tenant's keys.
func (t Target) shardOf(tenant int32) int { return int(tenant) % max(len(t.Shards), 1) }

// tag is the part of a tenant's keys that stands for the tenant. In a cluster it is
// a hash tag, so that all of them are in one slot, as scripts need it, and it ends
// in a number that puts it on the tenant's shard.
func (t Target) tag(name string, tenant int32) string {
	n := len(t.Shards)
	if n == 0 {
		return name
	}
	want := t.shardOf(tenant)
	for i := 0; ; i++ {
		tag := fmt.Sprintf("%s:%d", name, i)
		if slot := hashSlot(tag); want*hashSlots/n <= slot && slot < (want+1)*hashSlots/n {
			return "{" + tag + "}"
		}
	}
}

const hashSlots = 16384

// hashSlot is a key's, as the cluster specification has it: CRC16, XMODEM.
func hashSlot(tag string) int {
	var crc uint16
	for _, b := range []byte(tag) {
		crc ^= uint16(b) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return int(crc) % hashSlots
}
