// SPDX-License-Identifier: Apache-2.0

package connect

func (c *call) serveWidget()  {}
func (c *call) serveConsole() {}

type flows struct{}
