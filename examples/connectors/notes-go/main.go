// Notes, in Go: the same three ops as ../notes-c against the same service.
package main

import (
	"encoding/json"
	"io"
	"os"
)

func main() {
	input, err := io.ReadAll(os.Stdin)
	if err != nil {
		os.Exit(1)
	}
	json.NewEncoder(os.Stdout).Encode(handle(httpDo, input))
}
