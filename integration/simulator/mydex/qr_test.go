// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"bytes"
	"encoding/base64"
	"image"
	"image/png"
	"strings"
	"testing"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
)

// decodePicture is the picture in a data URL.
func decodePicture(t *testing.T, dataURL string) image.Image {
	t.Helper()
	encoded, ok := strings.CutPrefix(dataURL, "data:image/png;base64,")
	b, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil {
		t.Fatalf("%.60s: %v", dataURL, err)
	}
	p, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// scan reads the QR code in a data URL. The decoder is told that the picture
// is nothing but the code: its search for one in a photograph takes, once in
// two hundred, a piece of the code for its corner.
func scan(t *testing.T, dataURL string) string {
	t.Helper()
	bitmap, err := gozxing.NewBinaryBitmapFromImage(decodePicture(t, dataURL))
	if err != nil {
		t.Fatal(err)
	}
	r, err := qrcode.NewQRCodeReader().Decode(bitmap, map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_PURE_BARCODE: true})
	if err != nil {
		t.Fatalf("no scanner reads it: %v", err)
	}
	return r.GetText()
}

// TestQRCode protects whoever holds a phone in front of the code: it says the
// link, whatever its length and letters, and has the white border without
// which cameras do not find it.
func TestQRCode(t *testing.T) {
	for _, link := range []string{
		"http://127.0.0.1:8081/identify/45678/a",
		"https://login.mydex.org/ftc/begin/45678/" + strings.Repeat("x_-9", 8) + "/1",
		"https://" + strings.Repeat("login.", 40) + "example.org/ftc/begin/45678/é%C3%A9/2",
	} {
		dataURL, err := qrCode(link)
		if err != nil {
			t.Fatal(err)
		}
		if got := scan(t, dataURL); got != link {
			t.Errorf("scanned %q, want %q", got, link)
		}
		p := decodePicture(t, dataURL)
		side := p.Bounds().Dx()
		white := func(x, y int) bool { r, _, _, _ := p.At(x, y).RGBA(); return r > 0 }
		border := 0
		for border < side && white(border, border) {
			border++
		}
		// The corner of the code is a black line of seven modules.
		line := border
		for line < side && !white(line, border) {
			line++
		}
		module := (line - border) / 7
		if module < 3 || border != 4*module || p.Bounds().Dy() != side {
			t.Errorf("%v: modules of %d pixels, a border of %d", p.Bounds(), module, border)
		}
		for i := range side {
			for d := range border {
				if !white(i, d) || !white(d, i) || !white(i, side-1-d) || !white(side-1-d, i) {
					t.Fatalf("the border is not white: %d, %d", i, d)
				}
			}
		}
	}
}

// TestQRCodeOfTooMuch protects from a picture that says something else than
// the link: no QR code holds more than 2331 bytes with this correction.
func TestQRCodeOfTooMuch(t *testing.T) {
	if _, err := qrCode(strings.Repeat("x", 2332)); err == nil {
		t.Error("no error")
	}
	p := newPlatform(t)
	p.SetLoginURL("https://" + strings.Repeat("x", 2400))
	wantStatus(t, p.do("POST", p.identity+"/ftc/setup", setupBody(nil), p.bearer()), 400)
}
