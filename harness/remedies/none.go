package remedies

import "context"

// NoRemedy is the name of doing nothing.
const NoRemedy = "none"

// none is the control: what an incident does when it is left alone.
var none = Remedy{
	Name:    NoRemedy,
	Summary: "Nothing is done. If goodput recovers all the same, no remedy earns the credit.",
	Apply:   func(context.Context, *Handle) error { return nil },
}
