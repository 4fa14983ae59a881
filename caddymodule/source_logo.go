// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"io"
	"os"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/sources"
)

// readLogo reads an image and returns it with its media type.
func readLogo(file string) (image []byte, mediaType string, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = f.Close() }() // it was only read
	// One byte more, so that a file which is too large shows.
	if image, err = io.ReadAll(io.LimitReader(f, sources.MaxLogo+1)); err != nil {
		return nil, "", err
	}
	mediaType, err = sources.LogoType(image)
	return image, mediaType, err
}
