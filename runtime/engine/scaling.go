package engine

// Scaling is the scale by which a device multiplies the gradient of the loss, so
// that numbers of a small range hold what follows from it, and how it changes: it
// is halved where a gradient was not finite, and the step is left out; after many
// steps without one it is doubled.
type Scaling struct {
	Scale   float32 `json:"scale"`
	Good    int32   `json:"good"`     // steps since it last changed
	LeftOut int32   `json:"left_out"` // steps of the training that were left out
}

// Scaled is implemented by engines that scale. What Scaling returns belongs to
// the state of a training.
type Scaled interface {
	Scaling() Scaling
	SetScaling(Scaling)
}
