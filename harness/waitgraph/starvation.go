package waitgraph

import "math"

// starvedWorkers returns the workers whose wait is the same in both snapshots although more was
// granted to others than chance explains (see Thresholds). For a lock or a pool, the grants of that
// lock or pool count. For the server's slots, whose grants are often not counted, all grants do if
// they are more, because each grant requires a slot. That does not hold for turns: a grant may have
// used a turn of another pool.
func starvedWorkers(a, b Snapshot, act Activity, thresholds Thresholds) []Starved {
	before := make(map[ref]int, len(a.Resources))
	for i, r := range a.Resources {
		before[r.ref()] = i
	}
	waitersA, waitersB := waiters(a), waiters(b)
	grants := make([]int64, len(b.Resources)) // grants to others; 0 for resources that do not starve their waiters
	for i, r := range b.Resources {
		k, ok := before[r.ref()]
		if !ok {
			continue
		}
		g := r.Granted - a.Resources[k].Granted
		if r.Kind == Slot {
			g = max(g, act.Grants)
		}
		n := float64(max(2, max(waitersA[k], waitersB[i])+r.Units))
		if math.Log(n)+float64(g)*math.Log1p(-1/n) < math.Log(thresholds.StarvationChance) {
			grants[i] = g
		}
	}
	old := make(map[string]Process, len(a.Processes))
	for _, p := range a.Processes {
		old[p.Name] = p
	}
	var starved []Starved
	for _, p := range b.Processes {
		if p.Role != Worker {
			continue
		}
		for _, e := range p.Waits {
			if grants[e.Resource] == 0 || !waitedSince(a, old[p.Name], b.Resources[e.Resource], e) {
				continue
			}
			starved = append(starved, Starved{
				p.Name, b.Resources[e.Resource].Kind, b.Resources[e.Resource].Name, grants[e.Resource],
				millis(b.At - e.Since),
			})
			break
		}
	}
	return starved
}

// waitedSince reports whether a wait of the second snapshot existed in the first.
func waitedSince(a Snapshot, before Process, on Resource, e Edge) bool {
	for _, f := range before.Waits {
		r := a.Resources[f.Resource]
		if r.ref() == on.ref() && f.Since == e.Since && e.Since != 0 {
			return true
		}
	}
	return false
}

// waiters counts the live workers that wait for each resource.
func waiters(s Snapshot) []int {
	n := make([]int, len(s.Resources))
	for _, p := range s.Processes {
		if p.Role == Worker {
			for _, e := range p.Waits {
				n[e.Resource]++
			}
		}
	}
	return n
}
