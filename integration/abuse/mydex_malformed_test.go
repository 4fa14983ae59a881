// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/mydex"
)

// TestT19_MydexMalformedCallbacks protects a consent flow from a callback of Mydex's
// own that came damaged, or that two servers on the way read in two ways: what
// is not whole and in order tells nothing, and ends nothing. Each is sent with
// the right header; without the damage it is taken.
func TestT19_MydexMalformedCallbacks(t *testing.T) {
	m := startMydex(t, mydexCaddyfile("", passingToMydex))
	robin := m.member(0)
	j := m.startConnect(connects[0], "alice")
	word := j.callbackForm(robin)
	bad := func(what string, status int, ask func() reply) {
		t.Helper()
		j.wantNoEffect(what, func() {
			t.Helper()
			if got := ask(); got.status != status || got.body != "" {
				t.Errorf("%s: %d %s; want %d", what, got.status, got.body, status)
			}
		})
	}
	post := func(lines ...string) string {
		return http1("POST", callback, m.authority(false), append([]string{authentic(), formType}, lines...)...)
	}
	length := func(n int) string { return fmt.Sprintf("Content-Length: %d", n) }
	bad("a body that breaks off", 400, func() reply { return m.sendAndEnd(post(length(len(word)+1)) + word) })
	bad("the half of a body", 400, func() reply { return m.sendAndEnd(post(length(len(word))) + word[:len(word)/2]) })
	bad("a length, and nothing", 400, func() reply { return m.sendAndEnd(post(length(len(word)))) })
	bad("no length, so nothing", 400, func() reply { return m.send(post() + word) })
	const chunked = "Transfer-Encoding: chunked"
	for what, body := range map[string]string{
		"no last chunk":         chunk(word),
		"half a chunk":          chunk(word)[:len(word)/2],
		"a size of no digits":   "zz\r\n" + word + "\r\n0\r\n\r\n",
		"a negative size":       "-1\r\n" + word + "\r\n0\r\n\r\n",
		"a size that overflows": "ffffffffffffffffff\r\n" + word + "\r\n0\r\n\r\n",
		"a size too small":      "5\r\n" + word + "\r\n0\r\n\r\n",
		"no size":               word + "\r\n0\r\n\r\n",
		"LF for CR LF":          strings.Replace(chunk(word), word+"\r\n", word+"x", 1) + "0\r\n\r\n",
		"a long extension":      strings.Replace(chunk(word), "\r\n", ";"+strings.Repeat("a", 1<<20)+"\r\n", 1) + "0\r\n\r\n",
	} {
		bad(what, 400, func() reply { return m.sendAndEnd(post(chunked) + body) })
	}
	for what, lines := range map[string][]string{
		"two lengths":        {length(len(word)), length(3)},
		"an unknown coding":  {"Transfer-Encoding: gzip, chunked"},
		"chunked twice":      {chunked, chunked},
		"a length with sign": {"Content-Length: +" + fmt.Sprint(len(word))},
	} {
		j.wantNoEffect(what, func() { m.malformed(what, func() reply { return m.send(post(lines...) + word) }) })
	}

	// Of 10 MB no more than a piece is read.
	padded := word + "&padding=" + strings.Repeat("x", 10<<20)
	for what, request := range map[string]string{
		"10 MB":                 post(length(len(padded))) + padded,
		"10 MB in chunks":       post(chunked) + chunk(padded) + "0\r\n\r\n",
		"10 MB of small chunks": post(chunked) + strings.Repeat(chunk(padded[:10<<10]), 1<<10) + "0\r\n\r\n",
		"10 MB before":          post(length(len(padded))) + "padding=" + strings.Repeat("x", 10<<20) + "&" + word,
	} {
		j.wantNoEffect(what, func() { m.malformed(what, func() reply { return m.send(request) }) })
	}
	bad("10 MB announced", 400, func() reply { return m.sendAndEnd(post(length(10<<20)) + padded[:300<<10]) })

	for _, method := range []string{"GET", "HEAD", "DELETE", "OPTIONS", "PATCH", "TRACE", "post", "POSTED", "PROPFIND"} {
		bad(method, http.StatusMethodNotAllowed, func() reply {
			return m.send(http1(method, callback, m.authority(false), authentic(), formType, length(len(word)), "X-HTTP-Method-Override: POST") + word)
		})
	}
	// What is expected changes nothing but when the body is sent.
	bad("an expectation, forged", 403, func() reply {
		return m.send(http1("POST", callback, m.authority(false), formType, length(len(word)), "Expect: 100-continue") + word)
	})
	j.wantNoEffect("another expectation", func() {
		m.malformed("another expectation", func() reply { return m.send(post(length(len(word)), "Expect: 200-ok") + word) })
	})
	if got := m.send(post(length(len(word)), "Expect: 100-continue") + word); got.status != http.StatusNoContent {
		t.Errorf("an expectation: %d", got.status)
	}
	for what, request := range map[string]string{
		"in chunks":  post(chunked) + chunk(word[:9]) + chunk(word[9:]) + "0\r\nX-Trailer: x\r\n\r\n",
		"PUT":        strings.Replace(post(length(len(word))), "POST", "PUT", 1) + word,
		"not so big": post(length(len(word)+9+200<<10)) + word + "&padding=" + strings.Repeat("x", 200<<10),
	} {
		if got := m.send(request); got.status != http.StatusNoContent {
			t.Errorf("control, %s: %d", what, got.status)
		}
	}
	j.wantConnected("alice", robin)
}

// TestT19_MydexWordsOfTwoReadings protects from a callback whose contents can
// be read in two ways, or as somebody else's.
func TestT19_MydexWordsOfTwoReadings(t *testing.T) {
	m := startMydex(t, mydexCaddyfile("", passingToMydex))
	robin, wren := m.member(0), m.member(1)
	j := m.startConnect(connects[0], "alice")
	word := j.callbackForm(robin)
	const jsonType = "Content-Type: application/json"
	object := func(change ...string) string {
		text := `{"uid":"` + robin.UID + `","mydexid":"` + robin.MydexID + `","key":"` + robin.Key + `","connection_id":"` + robin.ConID + `","linking_token":"` + j.link + `"}`
		return strings.NewReplacer(change...).Replace(text)
	}
	// told wants a word to be answered so, and to tell nothing.
	told := func(what, kind, body string, status int) {
		t.Helper()
		j.wantNoEffect(what, func() {
			t.Helper()
			if got := m.do("POST", callback, body, authentic(), kind); got.status != status || got.body != "" {
				t.Errorf("%s: %d %s; want %d", what, got.status, got.body, status)
			}
		})
	}
	for _, name := range []string{"uid", "key", "connection_id", "linking_token", "mydexid", "type"} {
		told(name+" twice", formType, word+"&"+name+"=x&"+name+"=x", 400)
		told(name+" twice, the other empty", formType, name+"=&"+word+"&"+name+"=", 400)
		told(name+" twice, once escaped", formType, word+"&"+name+"=x&%"+hexOf(name[0])+name[1:]+"=x", 400)
		told(name+" twice, JSON", jsonType, object(`{"uid"`, `{"`+name+`":"1","`+name+`":"1","uid"`), 400)
		told(name+" twice, JSON, once escaped", jsonType, object(`{"uid"`, `{"`+name+`":"1","\u00`+strings.ToLower(hexOf(name[0]))+name[1:]+`":"1","uid"`), 400)
		told(name+" is an object", jsonType, object(`{"uid"`, `{"`+name+`":{"a":1},"x"`), 400)
	}
	for _, name := range []string{"uid", "key", "connection_id", "linking_token"} {
		value := map[string]string{"uid": robin.UID, "key": robin.Key, "connection_id": robin.ConID, "linking_token": j.link}[name]
		for what, other := range map[string]string{
			"none": "", "NUL behind": value + "\x00", "NUL before": "\x00" + value, "a blank": value + " ", "CR LF": value + "\r\nX: y", "LF": value + "\n", "DEL": value + "\x7f", "no UTF-8": value + "\xff\xfe", "overlong": value + "\xc0\x80",
			"another letter": value + "ä", "long": strings.Repeat(value, 9000),
		} {
			if name == "key" && what == "none" {
				continue // a word without a key is taken, and tells nothing
			}
			if name == "key" && what == "long" {
				continue // how long keys are is for Mydex to say
			}
			told(name+": "+what, formType, j.callbackForm(robin, name, other), 400)
		}
		for what, raw := range map[string]string{"NUL": `\u0000`, "a half of a pair": `\ud800`, "no UTF-8": "\xff", "LF": `\n`, "a raw LF": "\n", "a raw NUL": "\x00", "a bad escape": `\x41`} {
			told(name+": JSON, "+what, jsonType, object(value+`"`, value+raw+`"`), 400)
		}
	}
	for what, other := range map[string]mydex.Connection{
		"another's connection":    {UID: robin.UID, ConID: wren.ConID, Key: robin.Key},
		"another's uid":           {UID: wren.UID, ConID: robin.ConID, Key: robin.Key},
		"another nid":             {UID: robin.UID, ConID: robin.UID + "-1" + mydexNID, Key: robin.Key},
		"a nid with more":         {UID: robin.UID, ConID: robin.ConID + "0", Key: robin.Key},
		"the nid alone":           {UID: robin.UID, ConID: mydexNID, Key: robin.Key},
		"no uid in it":            {UID: robin.UID, ConID: "-" + mydexNID, Key: robin.Key},
		"turned around":           {UID: robin.UID, ConID: mydexNID + "-" + robin.UID, Key: robin.Key},
		"a way out of the path":   {UID: "../4021", ConID: "../4021-" + mydexNID, Key: robin.Key},
		"a parameter in it":       {UID: "4021&x", ConID: "4021&x-" + mydexNID, Key: robin.Key},
		"an escape in it":         {UID: "4021%2f", ConID: "4021%2f-" + mydexNID, Key: robin.Key},
		"a header in the key":     {UID: robin.UID, ConID: robin.ConID, Key: "k\r\nX: y"},
		"a parameter and a blank": {UID: robin.UID, ConID: robin.ConID, Key: "k &uid=4021"},
	} {
		told(what, formType, j.callbackForm(other), 400)
	}
	told("another's link", formType, j.callbackForm(robin, "linking_token", strings.ToLower(j.link)), 400)
	told("a link cut off", formType, j.callbackForm(robin, "linking_token", j.link[1:]), 400)
	told("a form without a key", formType, j.callbackForm(robin, "key", ""), http.StatusNoContent)
	told("a notification", formType, j.callbackForm(robin, "type", "notification"), http.StatusNoContent)
	told("a word that is not known", formType, j.callbackForm(robin, "type", "connect"), 400)

	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write([]byte(word))
	_ = w.Close()
	told("packed", formType+"\r\nContent-Encoding: gzip", packed.String(), 400)
	told("packed, as JSON", jsonType+"\r\nContent-Encoding: gzip", packed.String(), 400)
	told("packed, it says", formType+"\r\nContent-Encoding: gzip", word, 400)
	told("packed twice, it says", jsonType+"\r\nContent-Encoding: identity\r\nContent-Encoding: br", object(), 400)
	for _, kind := range []string{
		"X: y", "Content-Type:", "Content-Type: text/plain", "Content-Type: application/xml", "Content-Type: multipart/form-data; boundary=x", "Content-Type: application/jsonp", "Content-Type: application/x-www-form-urlencodedx", "Content-Type: application/json, text/plain",
		"Content-Type: x; application/x-www-form-urlencoded", "Content_Type: application/x-www-form-urlencoded", "Content-Type: application/octet-stream", jsonType,
	} {
		told("a form as "+kind, kind, word, 400)
	}
	told("JSON as a form", formType, object(), 400)
	for what, body := range map[string]string{
		"nothing": "", "a list": "[" + object() + "]", "text": `"` + j.link + `"`, "null": "null", "a number": "1", "two": object() + object(), "more behind": object() + "x", "a NUL behind": object() + "\x00",
		"a byte order mark": "\ufeff" + object(), "cut off": object()[:len(object())-1], "single quotes": strings.ReplaceAll(object(), `"`, "'"), "a comment": "/**/" + object(), "a comma too many": object("}", ",}"), "UTF-16": "\xff\xfe{\x00}\x00", "no value": `{"uid"}`,
		"nested a lot": object("}", `,"fields":`+strings.Repeat("[", 60_000)+strings.Repeat("]", 60_000)+"}"), "nested, not closed": strings.Repeat(`{"a":`, 40_000), "nested, about another": object("}", `,"fields":`+strings.Repeat("[", 9_000)+strings.Repeat("]", 9_000)+"}", mydexNID, "1"),
		"true": object(`"`+j.link+`"`, "true"), "a list in it": object(`"`+robin.Key+`"`, `["`+robin.Key+`"]`), "a number with a point": object(`"`+robin.UID+`"`, robin.UID+".0"), "an exponent": object(`"`+robin.UID+`"`, "4.02e3"), "no uid": object(`"`+robin.UID+`"`, "null"),
	} {
		told("JSON: "+what, jsonType, body, 400)
	}
	// The control: the same object, with a number as Mydex may write one.
	if got := m.do("POST", callback, object(`"`+robin.UID+`"`, robin.UID), authentic(), jsonType+"; charset=utf-8"); got.status != http.StatusNoContent {
		t.Errorf("JSON: %d", got.status)
	}
	j.wantReturn("alice", "connected")
	m.served("alice", robin, func() reply { return m.do("GET", "/pdx"+datasetPath, "", j.session) })
}
