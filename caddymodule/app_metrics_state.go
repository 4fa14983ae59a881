// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
)

// stateGauges collects what the status has of a configuration besides its engines:
// whom everybody is refused by, and the grants. It belongs to one configuration, as
// [providerGauges] does.
type stateGauges struct{ app *App }

// The gauges of [stateGauges].
var (
	everybodyGauge = newGaugeDesc("everybody_refused", "1 for a code that twenty different people were refused with, while nobody was let in since. Refusals of app_session have no provider.", "code")
	grantsGauge    = newGaugeDesc("grants", "Grants in the database by state, counted a minute ago at most.", "source", "state")
	grantsUpGauge  = prometheus.NewDesc(prometheus.BuildFQName(metricsNamespace, metricsSubsystem, "grants_up"), "1 while the database of the grants can be used, 0 while it cannot. Absent if no provider uses grants.", nil, nil)
)

// Describe implements [prometheus.Collector].
func (stateGauges) Describe(ch chan<- *prometheus.Desc) {
	ch <- everybodyGauge
	ch <- grantsGauge
	ch <- grantsUpGauge
}

// Collect implements [prometheus.Collector]. It asks the database, for
// [statusTimeout] at most.
func (g stateGauges) Collect(ch chan<- prometheus.Metric) {
	refused := func(provider string, s *refusalStats) {
		if code := s.status().EverybodyRefused; code != "" {
			ch <- prometheus.MustNewConstMetric(everybodyGauge, prometheus.GaugeValue, 1, provider, string(code))
		}
	}
	refused("", g.app.refusals)
	for name, p := range g.app.providers {
		refused(name, p.refusals)
	}
	s := g.app.grantsStatus(context.Background())
	if s == nil {
		return
	}
	ch <- prometheus.MustNewConstMetric(grantsUpGauge, prometheus.GaugeValue, boolValue(s.Up))
	for _, c := range s.Counts {
		ch <- prometheus.MustNewConstMetric(grantsGauge, prometheus.GaugeValue, float64(c.Grants), c.Provider, c.Source, c.State)
	}
}

// Interface guards
var _ prometheus.Collector = stateGauges{}
