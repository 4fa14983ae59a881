// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"bytes"
	"encoding/xml"
	"maps"
	"regexp"
	"slices"
)

// asXML says in XML what an answer says in JSON. That the platform has XML is
// documented, what it looks like is not: here names are elements, and each
// item of a list is an element called item.
func asXML(answer []byte) []byte {
	value, err := decodeJSON(answer)
	if err != nil {
		panic("mydex: answer is not JSON: " + err.Error()) // it was marshalled just now
	}
	b := bytes.NewBufferString(xml.Header)
	element(b, "result", value)
	return b.Bytes()
}

// noName matches what cannot stand in an element's name. The names are those
// of datasets and fields, and whoever writes these chooses them.
var noName = regexp.MustCompile(`^[^A-Za-z_]|[^A-Za-z0-9_]|^$`)

func element(b *bytes.Buffer, name string, value any) {
	name = noName.ReplaceAllString(name, "_")
	b.WriteString("<" + name + ">")
	switch v := value.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			element(b, name, v[name])
		}
	case []any:
		for _, item := range v {
			element(b, "item", item)
		}
	default:
		_ = xml.EscapeText(b, []byte(text(v))) // fails as the buffer does: never
	}
	b.WriteString("</" + name + ">")
}
