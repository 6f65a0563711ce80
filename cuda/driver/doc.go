// Package driver speaks to NVIDIA's CUDA driver without cgo: it finds
// libcuda.so.1 at run time, and a program that links it starts on machines
// that have none.
//
// A Context belongs to one goroutine that is locked to its thread; Do runs a
// function there. What the function makes with its Thread (memory, modules,
// streams, events, graphs) may be kept, but is used inside Do alone. Close
// gives all of it back.
//
// Function names and constants are those of the CUDA Driver API reference,
// https://docs.nvidia.com/cuda/cuda-driver-api.
package driver
