// SPDX-License-Identifier: MIT

//go:build go1.23

package bitnet_test

import (
	"context"
	"fmt"
	"log"
	"os"

	bitnet "github.com/libbitnet/libbitnet/bindings/go"
)

func ExampleGeneration_All() {
	model, err := bitnet.Open(os.Getenv("BITNET_MODEL"), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()
	session, err := model.NewSession(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	for text, err := range session.Generate(context.Background(), "It was a fine morning, and", nil).All() {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Print(text)
		if text == " room" {
			break
		}
	}
	// Output: she was not in the habit of being able to be in the room
}
