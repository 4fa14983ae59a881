// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// datasetRoutes are those that need no scope but [ScopePDX].
var datasetRoutes = []route{
	to(http.MethodGet, "api/pds/pds/*.json", styleDataset, readDataset),
	to(http.MethodGet, "api/pds/pds/*.xml", styleDataset, readDataset),
	to(http.MethodPost, "api/pds/pds/*.json", styleDataset, writeDataset),
	to(http.MethodPut, "api/pds/pds/*.json", styleDataset, updateDataset),
	to(http.MethodGet, "api/pds/transaction/*.json", styleDataset, readRows),
	to(http.MethodPut, "api/pds/transaction/*.json", styleDataset, updateRow),
	to(http.MethodPost, "api/pds/transaction", styleDataset, writeRows),
}

// value is a field as the platform shows it.
type value struct {
	Value  any    `json:"value"`
	Access access `json:"access"`
}

// access says what of a field is granted: 1, automatically.
type access map[string]map[string]string

var granted = access{"r": {"a": "1", "s": "A"}, "w": {"a": "1", "s": "A"}}

// dataset returns the dataset and the instance that the query names.
func (v *memberCall) dataset() (name string, instance int, refused *refusal) {
	if name, refused = v.query.text("dataset"); refused != nil {
		return "", 0, refused
	}
	i, refused := v.query.optional("instance", "0")
	if refused != nil {
		return "", 0, refused
	}
	if instance, _ = strconv.Atoi(i); strconv.Itoa(instance) != i || instance < 0 {
		return "", 0, bad("Invalid parameter: instance")
	}
	return name, instance, nil
}

// instances are shown as instance_N.
type instances map[string]map[string]any

func (n instances) set(i int, f fields) {
	shown := make(map[string]any, len(f))
	for name, v := range f {
		shown[name] = value{v, granted}
	}
	n[fmt.Sprintf("instance_%d", i)] = shown
}

// readDataset shows one instance of each dataset named; several are joined by
// a plus sign, which is a space by now.
func readDataset(v *memberCall) (any, *refusal) {
	names, instance, refused := v.dataset()
	if refused != nil {
		return nil, refused
	}
	answer := map[string]instances{}
	for name := range strings.FieldsSeq(names) {
		answer[name] = instances{}
		if f, ok := v.data.datasets[name][instance]; ok {
			answer[name].set(instance, f)
		}
	}
	return answer, nil
}

// wrapped is what the body holds below the name of the dataset, and nothing else.
func (v *memberCall) wrapped(name string) (any, *refusal) {
	o, refused := v.object(name)
	if refused == nil && len(o) != 1 {
		refused = bad("The request body names another dataset than the query")
	}
	return o[name], refused
}

func writeDataset(v *memberCall) (any, *refusal) {
	name, instance, refused := v.dataset()
	if refused != nil {
		return nil, refused
	}
	inner, refused := v.wrapped(name)
	if refused != nil {
		return nil, refused
	}
	f, ok := inner.(map[string]any)
	if !ok {
		return nil, bad("The dataset is not a JSON object")
	}
	if v.data.datasets[name] == nil {
		v.data.datasets[name] = make(map[int]fields)
	}
	v.data.datasets[name][instance] = f
	v.store.last++
	return created{1, v.store.last}, nil
}

// updateDataset wants the fields bare, without the dataset around them.
func updateDataset(v *memberCall) (any, *refusal) {
	name, instance, refused := v.dataset()
	if refused != nil {
		return nil, refused
	}
	f, refused := v.object()
	if refused != nil {
		return nil, refused
	}
	there, ok := v.data.datasets[name][instance]
	if !ok {
		return nil, bad("There is no such instance")
	}
	maps.Copy(there, f)
	return done{1}, nil
}

func readRows(v *memberCall) (any, *refusal) {
	name, _, refused := v.dataset()
	if refused != nil {
		return nil, refused
	}
	filters, refused := v.filters()
	if refused != nil {
		return nil, refused
	}
	shown := instances{}
	for _, r := range v.data.rows[name] {
		f := maps.Clone(r.fields)
		f["id"] = strconv.Itoa(r.id)
		if !slices.ContainsFunc(filters, func(k filter) bool { return !k.keeps(f) }) {
			shown.set(len(shown), f)
		}
	}
	return map[string]instances{name: shown}, nil
}

// writeRows takes one row or a list of them; the answer names the last.
func writeRows(v *memberCall) (any, *refusal) {
	name, _, refused := v.dataset()
	if refused != nil {
		return nil, refused
	}
	inner, refused := v.wrapped(name)
	if refused != nil {
		return nil, refused
	}
	list, ok := inner.([]any)
	if !ok {
		list = []any{inner}
	}
	// All or nothing.
	for _, item := range list {
		if _, ok := item.(map[string]any); !ok {
			return nil, bad("A row is not a JSON object")
		}
	}
	if len(list) == 0 {
		return nil, bad("There is no row")
	}
	rows := v.data.rows[name]
	for _, item := range list {
		r := v.add(&rows, item.(map[string]any))
		r.id = len(rows) // of this member's dataset, as in a database of theirs
	}
	v.data.rows[name] = rows
	return inserted(rows[len(rows)-1])
}

func updateRow(v *memberCall) (any, *refusal) {
	name, _, refused := v.dataset()
	if refused != nil {
		return nil, refused
	}
	id, refused := v.query.text("id")
	if refused != nil {
		return nil, refused
	}
	f, refused := v.object()
	if refused != nil {
		return nil, refused
	}
	r := find(v.data.rows[name], id)
	if r == nil {
		return nil, bad("There is no such row")
	}
	maps.Copy(r.fields, f)
	return done{1}, nil
}
