// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// MaxLogo is the size of a logo in bytes.
const MaxLogo = 64 << 10

// LogoType returns the media type of an image, by its content: a file's name says
// nothing. An SVG that runs script or loads something from elsewhere is an error: a
// browser that opens it by itself would run it on this server's origin.
func LogoType(image []byte) (string, error) {
	if len(image) > MaxLogo {
		return "", fmt.Errorf("the file has more than %d KiB: make the image smaller", MaxLogo>>10)
	}
	switch kind := http.DetectContentType(image); kind {
	case "image/png", "image/jpeg", "image/webp":
		return kind, nil
	}
	if err := checkSVG(image); err != nil {
		return "", err
	}
	return "image/svg+xml", nil
}

// errNoImage says that a file is none of the four kinds.
var errNoImage = errors.New("the file is no SVG, PNG, JPEG or WebP image")

// checkSVG returns an error for what is no SVG, and for one with script, another
// document in it, or an address elsewhere.
func checkSVG(image []byte) error {
	d := xml.NewDecoder(bytes.NewReader(image))
	for depth := 0; ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) && depth > 0 {
			return nil
		}
		if err != nil {
			return errNoImage
		}
		switch t := token.(type) {
		case xml.Directive:
			if bytes.Contains(bytes.ToUpper(t), []byte("ENTITY")) {
				return errors.New("the SVG defines entities: export it as plain SVG")
			}
		case xml.ProcInst:
			if t.Target != "xml" {
				return errors.New("the SVG has a processing instruction: export it as plain SVG")
			}
		case xml.StartElement:
			if depth++; depth == 1 && t.Name.Local != "svg" {
				return errNoImage
			}
			if err := checkSVGElement(t); err != nil {
				return err
			}
		}
	}
}

// checkSVGElement returns an error for an element that does more than draw.
func checkSVGElement(e xml.StartElement) error {
	switch strings.ToLower(e.Name.Local) {
	case "script", "foreignobject", "iframe", "object", "embed", "handler", "listener":
		return fmt.Errorf("the SVG has an element %s: export it as plain SVG, without script", strings.ToLower(e.Name.Local))
	}
	for _, a := range e.Attr {
		name, value := strings.ToLower(a.Name.Local), strings.ToLower(strings.TrimSpace(a.Value))
		switch {
		case strings.HasPrefix(name, "on"):
			return fmt.Errorf("the SVG has an attribute %s: export it as plain SVG, without script", name)
		case strings.Contains(value, "javascript:"): // by which an animation sets an address
			return fmt.Errorf("the SVG has script in its attribute %s: export it as plain SVG", name)
		case name == "href" && !strings.HasPrefix(value, "#") && !strings.HasPrefix(value, "data:image/"):
			return errors.New("the SVG has an address elsewhere: embed what it needs")
		}
	}
	return nil
}
