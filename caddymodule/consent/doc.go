// SPDX-License-Identifier: Apache-2.0

// Package consent has the parts of a consent flow that need neither Caddy nor a
// database. A flow is somebody's way to a grant at a platform: it is begun by
// POST /start of delegate_connect, and completed by the browser that the platform
// sends back to /return. What has to be durable of it is in the package grants;
// here is what the browser keeps ([Cookie]).
package consent
