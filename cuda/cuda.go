// Package cuda emits a program as CUDA C++ for exactly its shapes.
package cuda
