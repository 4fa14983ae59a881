// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// templateRoutes serve /api/pds/{template}/… of any depth. What the platform
// answers there is not public; these answers follow those of its other routes.
var templateRoutes = []route{
	{http.MethodGet, nil, styleBlock, readTemplate},
	{http.MethodPost, nil, styleBlock, writeTemplate},
	{http.MethodPut, nil, styleBlock, updateTemplate},
	{http.MethodDelete, nil, styleBlock, deleteFromTemplate},
}

func isTemplate(segments []string) bool {
	return len(segments) >= 3 && segments[0] == "api" && segments[1] == "pds" &&
		!slices.Contains([]string{"pds", "transaction", "add-measurements"}, segments[2])
}

// section is where a path's rows are kept. An index, and the verbs that the
// platform's scopes show (add-person, delete-person), mean what they belong to.
func (v *visit) section() string {
	path := slices.Clone(v.segments[2:])
	last := path[len(path)-1]
	switch verb, noun, ok := strings.Cut(last, "-"); {
	case last == "index":
		path = path[:len(path)-1]
	case ok && (verb == "add" || verb == "delete"):
		path[len(path)-1] = noun
	}
	return strings.Join(path, "/")
}

func readTemplate(v *visit) (any, *refusal) {
	shown := instances{}
	for i, r := range v.shelf.templates[v.section()] {
		f := maps.Clone(r.fields)
		f["id"] = strconv.Itoa(r.id)
		shown.set(i, f)
	}
	return map[string]instances{v.segments[len(v.segments)-1]: shown}, nil
}

func writeTemplate(v *visit) (any, *refusal) {
	f, refused := v.object()
	if refused != nil {
		return nil, refused
	}
	rows := v.shelf.templates[v.section()]
	r := v.add(&rows, f)
	v.shelf.templates[v.section()] = rows
	return inserted(r)
}

// updateTemplate changes the row that the body names, or the first one, which
// comes to be if there is none: a section such as personal-details has one.
func updateTemplate(v *visit) (any, *refusal) {
	f, refused := v.object()
	if refused != nil {
		return nil, refused
	}
	rows := v.shelf.templates[v.section()]
	var r *row
	switch id, named := f["id"]; {
	case named:
		if r = find(rows, id); r == nil {
			return nil, bad("There is no such item")
		}
	case len(rows) == 0:
		r = v.add(&rows, fields{})
	default:
		r = rows[0]
	}
	delete(f, "id")
	maps.Copy(r.fields, f)
	v.shelf.templates[v.section()] = rows
	return done{1}, nil
}

func deleteFromTemplate(v *visit) (any, *refusal) {
	f, refused := v.object("id")
	if refused != nil {
		return nil, refused
	}
	rows := v.shelf.templates[v.section()]
	r := find(rows, f["id"])
	if r == nil {
		return nil, bad("There is no such item")
	}
	v.shelf.templates[v.section()] = slices.DeleteFunc(rows, func(other *row) bool { return other == r })
	return done{1}, nil
}
