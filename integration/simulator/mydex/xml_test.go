// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestXML protects whoever tries an app with the suffix .xml: it is the same
// data, for the same member alone, and well-formed whatever is in it.
func TestXML(t *testing.T) {
	p := newPlatform(t)
	r, w := newSession(t, p, robin.UID), newSession(t, p, wren.UID)
	const path, query = "/api/pds/pds/4020.xml", "dataset=ds_a"
	wantStatus(t, r.a("POST", "/api/pds/pds/4020.json", query, `{"ds_a":{"name":"R <&>","list":[1,true,null],"2 <x>":"","":1.50}}`), 200)
	const access = "<access><r><a>1</a><s>A</s></r><w><a>1</a><s>A</s></w></access>"
	res := r.a("GET", path, query, "")
	wantBody(t, res, xml.Header+"<result><ds_a><instance_0>"+
		"<_>"+access+"<value>1.50</value></_>"+
		"<___x_>"+access+"<value></value></___x_>"+
		"<list>"+access+"<value><item>1</item><item>true</item><item></item></value></list>"+
		"<name>"+access+"<value>R &lt;&amp;&gt;</value></name>"+
		"</instance_0></ds_a></result>")
	if got := res.Header.Get("Content-Type"); got != "application/xml" {
		t.Errorf("Content-Type %q", got)
	}
	res = r.a("GET", path, "dataset=%3Ca%20b=%22+0+%C3%A9", "")
	wantStatus(t, res, http.StatusOK)
	for d := xml.NewDecoder(strings.NewReader(res.body)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%v: %s", err, res.body)
		}
	}

	wantStatus(t, w.a("GET", path, query, ""), http.StatusUnauthorized) // wren's key
	r.bearer += "x"
	wantStatus(t, r.a("GET", path, query, ""), http.StatusUnauthorized)
	wantStatus(t, w.a("POST", "/api/pds/pds/4021.xml", query, `{"ds_a":{}}`), http.StatusMethodNotAllowed)
	for _, path := range []string{"/api/pds/pds/.xml", "/api/pds/pds/4021.xmlp", "/api/pds/pds/4021.jsonp"} {
		wantStatus(t, w.a("GET", path, query, ""), http.StatusNotFound)
	}
}
