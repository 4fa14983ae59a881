// SPDX-License-Identifier: Apache-2.0

package sources

import "net/http"

func (c *call) serveFHIR(*grant) {
	c.fail(http.StatusNotImplemented, "not_implemented", "not yet")
}
