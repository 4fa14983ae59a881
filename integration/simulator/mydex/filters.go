// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"cmp"
	"strconv"
)

// filter is one of the query's filters[field][operator] and
// filters[field][value]. The platform's page writes an operator that ends in
// an equals sign right behind the bracket; PHP drops it there, so without an
// operator, values must be equal.
type filter struct{ field, operator, value string }

var operators = map[string]func(order int) bool{
	"":   func(order int) bool { return order == 0 },
	"=":  func(order int) bool { return order == 0 },
	"!=": func(order int) bool { return order != 0 },
	"<>": func(order int) bool { return order != 0 },
	">":  func(order int) bool { return order > 0 },
	">=": func(order int) bool { return order >= 0 },
	"<":  func(order int) bool { return order < 0 },
	"<=": func(order int) bool { return order <= 0 },
}

func (v *memberCall) filters() ([]filter, *refusal) {
	if _, ok := v.query["filters"]; !ok {
		return nil, nil
	}
	all, ok := v.query["filters"].(phpArray)
	if !ok {
		return nil, bad("Invalid parameter: filters")
	}
	var list []filter
	for field, f := range all {
		parts, ok := f.(phpArray)
		if !ok {
			return nil, bad("Invalid parameter: filters")
		}
		operator, ok1 := orEmpty(parts["operator"])
		value, ok2 := orEmpty(parts["value"])
		if !ok1 || !ok2 || operators[operator] == nil {
			return nil, bad("Invalid parameter: filters")
		}
		list = append(list, filter{field, operator, value})
	}
	return list, nil
}

func orEmpty(v any) (string, bool) {
	if v == nil {
		return "", true
	}
	s, ok := v.(string)
	return s, ok
}

// keeps compares as numbers if both sides are some. A field that is not there
// passes no filter.
func (k filter) keeps(f fields) bool {
	v, ok := f[k.field]
	if !ok {
		return false
	}
	a, err1 := strconv.ParseFloat(text(v), 64)
	b, err2 := strconv.ParseFloat(k.value, 64)
	if err1 == nil && err2 == nil {
		return operators[k.operator](cmp.Compare(a, b))
	}
	return operators[k.operator](cmp.Compare(text(v), k.value))
}
