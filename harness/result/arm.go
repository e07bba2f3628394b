package result

// Credit says by which comparisons a cure or a prevention earned its verdict. An
// incident that ends by itself cures with any remedy, and a remedy that consists of
// two may owe its cure to one of them.
type Credit struct {
	Earned  bool         `json:"earned"`
	Because string       `json:"because"`
	Against []Comparison `json:"against"` // arms of the same repeat and image
}

// Comparison is an arm that another is compared with.
type Comparison struct {
	Arm     string  `json:"arm"`
	Verdict Verdict `json:"verdict"`
}
