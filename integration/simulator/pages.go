// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// A source makes up a participant's items of one kind.
type source func(*call) []map[string]any

// page answers with a page of items: limit and pageID in, nextPageID out.
// Query parameters that name a string of the items filter by it; several
// values are separated by commas. See [bounds] for those that bound dates.
func page(key string, items source) func(*call) {
	return func(c *call) {
		q := c.URL.Query()
		all, ok := c.dated(filter(c.withoutDeleted(items(c)), q))
		if !ok {
			return
		}
		limit, ok1 := pageParam(q.Get("limit"), maxPageSize)
		start, ok2 := pageStart(q.Get("pageID"))
		if !ok1 || !ok2 {
			c.fail(http.StatusBadRequest, "limit or pageID is not valid")
			return
		}
		limit = min(max(limit, 1), maxPageSize)
		start = min(start, len(all))
		end := min(start+limit, len(all))
		answer := c.withOwner(map[string]any{key: all[start:end], "totalResults": len(all)})
		if end < len(all) {
			answer["nextPageID"] = fmt.Sprintf("00000000-0000-0000-0000-%012x", end)
		}
		c.json(http.StatusOK, answer)
	}
}

// pageStart reads a nextPageID back.
func pageStart(id string) (int, bool) {
	if id == "" {
		return 0, true
	}
	if !isGUID(id) {
		return 0, false
	}
	n, err := strconv.ParseInt(id[24:], 16, 32)
	return int(n), err == nil
}

// one answers with the item that the path names.
func one(items source) func(*call) {
	return func(c *call) {
		for _, item := range c.withoutDeleted(items(c)) {
			if fmt.Sprint(item["id"]) == strings.ToLower(c.args[0]) {
				c.json(http.StatusOK, item)
				return
			}
		}
		c.fail(http.StatusNotFound, "no such item")
	}
}

// remove deletes the item that the path names. Another participant's is not found.
func remove(items source) func(*call) {
	return func(c *call) {
		for _, item := range c.withoutDeleted(items(c)) {
			if id := fmt.Sprint(item["id"]); id == strings.ToLower(c.args[0]) {
				c.sim.stored.of(c.participant.ID).delete(id)
				c.w.WriteHeader(http.StatusOK)
				return
			}
		}
		c.fail(http.StatusNotFound, "no such item")
	}
}

// withoutDeleted leaves out what the participant deleted. It never returns nil, which
// would be null in JSON.
func (c *call) withoutDeleted(items []map[string]any) []map[string]any {
	stored := c.sim.stored.find(c.participant.ID)
	left := make([]map[string]any, 0, len(items))
	for _, item := range items {
		id, ok := item["id"]
		if !ok {
			id = item["key"]
		}
		if !stored.isDeleted(fmt.Sprint(id)) {
			left = append(left, item)
		}
	}
	return left
}

func filter(items []map[string]any, q url.Values) []map[string]any {
	for name, values := range q {
		// Naming somebody must neither find nor hide anything.
		if strings.HasPrefix(name, "participant") {
			continue
		}
		if _, _, ok := bound(name); ok {
			continue
		}
		left := items[:0:0]
		for _, item := range items {
			value, ok := item[name].(string)
			if !ok || contains(values[0], value) {
				left = append(left, item)
			}
		}
		items = left
	}
	if items == nil {
		items = []map[string]any{}
	}
	return items
}

// contains tells whether a comma-separated list, with \, and \\ as escapes, holds the value.
func contains(list, value string) bool {
	var member strings.Builder
	for i := 0; i < len(list); i++ {
		switch {
		case list[i] == '\\' && i+1 < len(list):
			i++
			member.WriteByte(list[i])
		case list[i] == ',':
			if member.String() == value {
				return true
			}
			member.Reset()
		default:
			member.WriteByte(list[i])
		}
	}
	return member.String() == value
}
