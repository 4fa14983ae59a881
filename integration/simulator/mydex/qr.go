// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"bytes"
	"encoding/base64"
	"image"
	"image/color"
	"image/draw"
	"image/png"

	"github.com/boombuler/barcode"
	"github.com/boombuler/barcode/qr"
)

// qrCode is the QR code of a link, as a data URL that a page can show, and a
// phone's camera read off it. The error is that the link is too long.
func qrCode(link string) (string, error) {
	// Scanners want four modules of white around the code, and a module of
	// several pixels. M corrects 15 % of errors, which is usual on screens.
	const quiet, scale = 4, 4
	code, err := qr.Encode(link, qr.M, qr.Unicode)
	if err != nil {
		return "", err
	}
	modules := code.Bounds().Dx()
	if code, err = barcode.Scale(code, modules*scale, modules*scale); err != nil {
		return "", err
	}
	side := (modules + 2*quiet) * scale
	canvas := image.NewPaletted(image.Rect(0, 0, side, side), color.Palette{color.White, color.Black})
	draw.Draw(canvas, code.Bounds().Add(image.Pt(quiet*scale, quiet*scale)), code, image.Point{}, draw.Src)
	var b bytes.Buffer
	if err := png.Encode(&b, canvas); err != nil {
		return "", err
	}
	return "data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes()), nil
}
