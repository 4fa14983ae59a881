// SPDX-License-Identifier: Apache-2.0

// Package consent has the parts of a consent flow that need neither Caddy nor a
// database. A flow is a person's way to a grant at a platform: it is begun by POST
// /start of delegate_connect, and completed by the browser that the platform sends
// back to /return. Its durable part is in the package grants. Here are the tables of
// what happens to a flow ([Next]) and of what its end does to a person's grants
// ([Complete]), the browser's part ([Cookie]), and the bound on requests that wait
// for a flow to end ([WaitLimiter]).
package consent
