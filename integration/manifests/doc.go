// SPDX-License-Identifier: Apache-2.0

// Package manifests checks the files by which containers are started.
package manifests
