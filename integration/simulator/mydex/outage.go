// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"net/http"
	"time"
)

// outage does to the call what the settings say. It returns whether the call
// is to be served.
func (c *call) outage() bool {
	// Whatever changed while the call waited counts.
	defer func() { c.now = c.sim.clock() }()
	for {
		e := c.sim.settings.Load()
		if !e.Outages[c.area].Hold {
			c.settings = &e.Settings
			break
		}
		select {
		case <-e.over:
		case <-c.Context().Done():
			return false
		}
	}
	o, ok := c.settings.Outages[c.area]
	if !ok {
		return true
	}
	if o.Delay > 0 {
		t := time.NewTimer(time.Duration(o.Delay) * time.Millisecond)
		defer t.Stop()
		select {
		case <-t.C:
		case <-c.Context().Done():
			return false
		}
	}
	if o.Reset {
		c.drop()
		return false
	}
	if o.Status == 0 {
		return true
	}
	for name, value := range o.Header {
		c.w.Header().Set(name, value)
	}
	if o.Body == "" {
		c.fail(o.Status, "simulated: "+http.StatusText(o.Status))
		return false
	}
	c.w.WriteHeader(o.Status)
	_, _ = c.w.Write([]byte(o.Body))
	return false
}
