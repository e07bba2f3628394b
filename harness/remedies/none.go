package remedies

import "context"

// none is the control: what an incident does when it is left alone.
var none = Remedy{
	Name:    "none",
	Summary: "Nothing is done. If goodput recovers all the same, no remedy earns the credit.",
	Apply:   func(context.Context, *Incident) error { return nil },
}
