// SPDX-License-Identifier: Apache-2.0

package simulator

// outage does to the call what the settings say. It returns whether the call
// is to be served.
func (c *call) outage() bool {
	// Whatever changed while the call waited counts.
	defer c.identify()
	s := c.sim.settings.Await(c.Context(), func(s *Settings) bool { return s.Outages[c.area].Hold })
	if s == nil {
		return false
	}
	c.settings = s
	return s.Outages[c.area].Apply(c.Context(), c.w, c.fail)
}
