// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
)

// maxFile bounds an uploaded file.
const maxFile = 16 << 20

// welcomeFile is there for every participant without being stored.
func (c *call) welcomeFile() *file {
	return &file{
		key: c.participant.ID + "/welcome/welcome.txt", category: "welcome", name: "welcome.txt", contentType: "text/plain; charset=utf-8",
		data: []byte("Hello " + c.participant.FirstName + ", you are " + c.participant.Identifier + ".\n"), modified: epochStart,
	}
}

func (c *call) files() []map[string]any {
	all := append([]*file{c.welcomeFile()}, c.sim.stored.find(c.participant.ID).allFiles()...)
	items := make([]map[string]any, len(all))
	for i, f := range all {
		items[i] = c.withOwner(map[string]any{"key": f.key, "category": f.category, "fileName": f.name, "lastModified": isoDate(f.modified)})
	}
	return items
}

// uploadFile answers with where to put the bytes. The file is there once they are.
func (c *call) uploadFile() {
	q := c.URL.Query()
	category, name := q.Get("category"), q.Get("fileName")
	if category == "" || name == "" || strings.ContainsAny(category+name, "/\\") {
		c.fail(http.StatusBadRequest, "category and fileName are needed, without slashes")
		return
	}
	c.json(http.StatusOK, c.withOwner(map[string]any{"preSignedUrl": c.preSigned(http.MethodPut, c.participant.ID+"/"+category+"/"+name)}))
}

func (c *call) downloadFile() {
	key := c.URL.Query().Get("key")
	for _, f := range c.withoutDeleted(c.files()) {
		if f["key"] == key {
			c.json(http.StatusOK, c.withOwner(map[string]any{"preSignedUrl": c.preSigned(http.MethodGet, key)}))
			return
		}
	}
	c.fail(http.StatusNotFound, "no such file")
}

func (c *call) deleteFile() {
	key, stored := c.URL.Query().Get("key"), c.sim.stored.of(c.participant.ID)
	switch {
	case stored.removeFile(key):
	case key == c.welcomeFile().key && !stored.isDeleted(key):
		stored.delete(key)
	default:
		c.fail(http.StatusNotFound, "no such file")
		return
	}
	c.w.WriteHeader(http.StatusOK)
}

// preSigned returns a URL that needs no token, as object stores make them.
func (c *call) preSigned(method, key string) string {
	u := url.URL{Path: "/_files/" + key, RawQuery: "signature=" + c.sim.sign(method, key)}
	return control.Base(c.Request) + u.String()
}

func (m *MyDataHelps) sign(method, key string) string {
	h := hmac.New(sha256.New, m.fileKey)
	_, _ = io.WriteString(h, method+" "+key)
	return hex.EncodeToString(h.Sum(nil))
}

// serveFiles plays the object store, which has its own rules: no token, and
// pages of any origin may use it.
func (c *call) serveFiles() {
	c.w.Header().Set("Access-Control-Allow-Origin", "*")
	if c.Method == http.MethodOptions {
		c.w.Header().Set("Access-Control-Allow-Methods", "GET, PUT")
		c.w.Header().Set("Access-Control-Allow-Headers", "Content-Type, X-Amz-Server-Side-Encryption")
		c.w.WriteHeader(http.StatusOK)
		return
	}
	key := strings.Join(c.segments[1:], "/")
	signature, method := c.URL.Query().Get("signature"), c.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	if !hmac.Equal([]byte(signature), []byte(c.sim.sign(method, key))) {
		c.fail(http.StatusForbidden, "the signature does not match")
		return
	}
	// A signed key begins with the participant's ID, a category and a name.
	c.participant = c.sim.people.byID(c.segments[1])
	if c.participant == nil {
		c.fail(http.StatusNotFound, "no such file")
		return
	}
	if method == http.MethodPut {
		c.storeFile(key)
		return
	}
	f := c.sim.stored.find(c.participant.ID).file(key)
	if f == nil && key == c.welcomeFile().key {
		f = c.welcomeFile()
	}
	if f == nil {
		c.fail(http.StatusNotFound, "no such file")
		return
	}
	c.raw(f.contentType, string(f.data))
}

func (c *call) storeFile(key string) {
	if c.Header.Get("X-Amz-Server-Side-Encryption") != "AES256" {
		c.fail(http.StatusForbidden, "x-amz-server-side-encryption: AES256 is missing")
		return
	}
	data, err := io.ReadAll(io.LimitReader(c.Body, maxFile+1))
	if err != nil {
		c.fail(http.StatusBadRequest, "the body cannot be read")
		return
	}
	if len(data) > maxFile {
		c.fail(http.StatusRequestEntityTooLarge, "the simulator keeps files of up to 16 MiB")
		return
	}
	f := &file{key: key, category: c.segments[2], name: c.segments[3], contentType: c.Header.Get("Content-Type"), data: data, modified: c.now}
	if !c.sim.stored.of(c.participant.ID).putFile(f) {
		c.fail(http.StatusInsufficientStorage, "the simulator keeps 1000 files per participant")
		return
	}
	c.w.WriteHeader(http.StatusOK)
}
