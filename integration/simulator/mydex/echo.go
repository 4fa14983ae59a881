// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
)

// echoAddress answers with a page that repeats what it was called by, as a PHP
// framework's page of an error does: in its title, text, links and a dump.
func (c *call) echoAddress(status int) {
	dump, _ := json.MarshalIndent(map[string]any{"uri": c.RequestURI, "query": readQuery(c.URL.RawQuery), "headers": c.Header}, "", "  ")
	page := fmt.Sprintf("<!DOCTYPE html><title>%d %s %s</title>\n<p>%s\n<p><a href=\"/retry?to=%s\">again</a>\n<script>var request = %s</script>\n<pre>%s</pre>\n",
		status, http.StatusText(status), html.EscapeString(c.RequestURI), html.EscapeString(c.URL.String()), url.QueryEscape(c.RequestURI), dump, html.EscapeString(string(dump)))
	c.w.Header().Set("X-Request-ID", c.RequestURI)
	c.w.Header().Set("Trailer", "X-Checksum")
	c.send(status, "text/html; charset=utf-8", []byte(page))
	c.w.Header().Set("X-Checksum", c.RequestURI)
}
