// Command probe says in one line what CUDA finds on this machine.
package main

import (
	"fmt"

	"github.com/dnngen/dnngen/cuda/driver"
)

func main() {
	d, err := driver.Open()
	if err != nil {
		fmt.Println("cpu:", err)
		return
	}
	fmt.Println("cuda:", d.Devices()[0].Name)
}
