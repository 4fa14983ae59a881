// SPDX-License-Identifier: Apache-2.0

package oauth1

import (
	"cmp"
	"errors"
	"net/url"
	"slices"
	"strings"
)

// ErrParameters is the error of a query or a form that cannot be read in one way
// only, so that a vendor may sign something else than we have.
var ErrParameters = errors.New("a percent sign that begins no escape, or a semicolon that may divide parameters, in the query or the form")

// Parameter is a parameter of a request, decoded.
type Parameter struct{ Name, Value string }

// ParseParameters returns the parameters of a raw query or of a body of type
// application/x-www-form-urlencoded, in their order, as RFC 5849 section 3.4.1.3.1
// decodes them: also those that stand more than once or have no value. The error
// is [ErrParameters].
func ParseParameters(raw string) ([]Parameter, error) {
	if raw == "" {
		return nil, nil
	}
	if strings.IndexByte(raw, ';') >= 0 {
		return nil, ErrParameters
	}
	all := make([]Parameter, 0, strings.Count(raw, "&")+1)
	for piece := range strings.SplitSeq(raw, "&") {
		if piece == "" {
			continue
		}
		name, value, _ := strings.Cut(piece, "=")
		name, err := url.QueryUnescape(name)
		if err != nil {
			return nil, ErrParameters
		}
		if value, err = url.QueryUnescape(value); err != nil {
			return nil, ErrParameters
		}
		all = append(all, Parameter{name, value})
	}
	return all, nil
}

// normalize returns the parameters as the signature base string has them (RFC 5849
// section 3.4.1.3.2): encoded, and then sorted by name and by value.
func normalize(all []Parameter) string {
	encoded := make([]Parameter, len(all))
	size := 0
	for i, p := range all {
		encoded[i] = Parameter{encode(p.Name), encode(p.Value)}
		size += len(encoded[i].Name) + len(encoded[i].Value) + 2
	}
	slices.SortFunc(encoded, func(a, b Parameter) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Value, b.Value))
	})
	var b strings.Builder
	b.Grow(size)
	for i, p := range encoded {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(p.Name)
		b.WriteByte('=')
		b.WriteString(p.Value)
	}
	return b.String()
}
