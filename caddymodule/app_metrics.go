// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/circuit"
)

// The names of all metrics begin with caddy_delegate_.
const (
	metricsNamespace = "caddy"
	metricsSubsystem = "delegate"
)

// The counters are the process's and not a configuration's: a registry ends with
// its configuration, and a count must not begin anew with each reload. Their
// labels have few values and never name a person, a path or a scope. The label
// source is empty for a provider without sources, and for its own tokens; to
// Prometheus it is absent then.
var (
	requestsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: metricsNamespace, Subsystem: metricsSubsystem, Name: "requests_total",
		Help: "Requests at delegate and delegate_token by outcome: forwarded (the platform answered), websocket (it answered with a WebSocket that has ended), broken_off (the platform's answer ended early), answered (by delegate_token, or by another handler behind delegate), client_left (the client left before the answer), or the code of the refusal. Refusals of app_session and delegate_logout have no provider. Preflights are not counted.",
	}, []string{"provider", "source", "outcome"})
	tokensTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: metricsNamespace, Subsystem: metricsSubsystem, Name: "tokens_total",
		Help: "Requests for tokens, the service account's included, by result: hit (in memory), wait (minted or read from Redis while the request waited), remembered (refused by an earlier failure), failed.",
	}, []string{"provider", "source", "result"})
	mintsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: metricsNamespace, Subsystem: metricsSubsystem, Name: "mints_total",
		Help: "Mints of tokens by token (service or delegated), by reason: first, ahead (a renewal in the background) or stale (the platform does not accept the old token, or too little of its life is left), and by outcome: ok or the code of the failure. A mint that failed because the service token did is counted as well.",
	}, []string{"provider", "source", "token", "reason", "outcome"})
	mintDuration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: metricsNamespace, Subsystem: metricsSubsystem, Name: "mint_duration_seconds",
		Help:    "Duration of mints, failed ones included. A participant's includes the service token's where that had to be minted first.",
		Buckets: prometheus.DefBuckets,
	}, []string{"provider", "source", "token"})
	purgesTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: metricsNamespace, Subsystem: metricsSubsystem, Name: "purges_total",
		Help: "Purges requested of this machine.",
	}, []string{"provider"})
	panicsTotal = prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: metricsNamespace, Subsystem: metricsSubsystem, Name: "panics_total",
		Help: "Recovered panics: faults of this module or of a provider's module. Each failed one call.",
	})
	consentsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: metricsNamespace, Subsystem: metricsSubsystem, Name: "consents_total",
		Help: "Events of consents at delegate_connect: begun, told (the platform's callback brought a consent), connected, refused (the platform does not accept that consent or what its widget gave, or there is nothing to update), conflict (the account belongs to another user), forgotten (by the user), ended (by its date), suspended and resumed (by the platform). Also other callbacks of the platform: notification and other, which change nothing, and not_taken, which were refused.",
	}, []string{"provider", "source", "event"})
	revocationsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: metricsNamespace, Subsystem: metricsSubsystem, Name: "revocations_total",
		Help: "Attempts to tell a platform that a consent has ended, by outcome: done, pending (it could not be told, and is told again) or given_up (after a week).",
	}, []string{"provider", "source", "outcome"})
)

// hotCounters are the counters of a request that is forwarded, as most are.
// Finding them by their labels on each request would cost as much as the rest of
// counting.
type hotCounters struct {
	forwarded prometheus.Counter
	answered  prometheus.Counter
}

// newHotCounters finds the counters of the named provider, or of one of its sources.
func newHotCounters(provider, source string) hotCounters {
	return hotCounters{
		forwarded: requestsTotal.WithLabelValues(provider, source, outcomeForwarded),
		answered:  requestsTotal.WithLabelValues(provider, source, outcomeAnswered),
	}
}

// countRequest counts a request by its outcome. source is empty for a provider
// without sources, and where no source is asked for.
func countRequest(provider, source, outcome string) {
	requestsTotal.WithLabelValues(provider, source, outcome).Inc()
}

// registerMetrics registers the process's counters and the gauges of a
// configuration's providers with the configuration's registry. Calling it again
// does nothing.
func registerMetrics(registry *prometheus.Registry, providers map[string]*provider) error {
	for _, c := range []prometheus.Collector{requestsTotal, tokensTotal, mintsTotal, mintDuration, purgesTotal, consentsTotal, revocationsTotal, panicsTotal, providerGauges(providers)} {
		err := registry.Register(c)
		if _, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); err != nil && !ok {
			return fmt.Errorf("registering metrics: %w", err)
		}
	}
	return nil
}

// providerGauges collects the state of a configuration's providers, by name, when
// the metrics are read. It belongs to one configuration, as its registry does: a
// provider that a reload removes has no gauges any more.
type providerGauges map[string]*provider

// newGaugeDesc describes a gauge with the label provider before the others.
func newGaugeDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(metricsNamespace, metricsSubsystem, name), help, append([]string{"provider"}, labels...), nil)
}

// The gauges of [providerGauges]. Their first label is the provider.
var (
	entriesGauge    = newGaugeDesc("entries", "Tokens in memory.", "source")
	rememberedGauge = newGaugeDesc("remembered_failures", "Identities whose last failure is remembered, so that the issuer is not asked again.", "source")
	waitingGauge    = newGaugeDesc("waiting", "Requests and renewals that wait for a token.", "source")
	mintingGauge    = newGaugeDesc("minting", "Mints in progress at the issuer.", "source")
	breakerGauge    = newGaugeDesc("issuer_breaker", "1 for the state of the issuer's breaker: closed, open (the issuer is not called) or half_open (one call tries it).", "source", "state")
	sharedUp        = newGaugeDesc("shared_up", "1 while tokens are shared by Redis, 0 while this machine works alone.")
	sharedFailures  = newGaugeDesc("shared_failures_total", "How often Redis went down.")
	sharedPending   = newGaugeDesc("shared_pending_purges", "Purges that the other machines have not received yet.")
)

// Describe implements [prometheus.Collector].
func (providerGauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		entriesGauge, rememberedGauge, waitingGauge, mintingGauge, breakerGauge, sharedUp, sharedFailures, sharedPending,
	} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (g providerGauges) Collect(ch chan<- prometheus.Metric) {
	for name, p := range g {
		send := func(d *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
			ch <- prometheus.MustNewConstMetric(d, kind, value, append([]string{name}, labels...)...)
		}
		for source, c := range p.clients {
			s := c.engine.tokens.Status()
			send(entriesGauge, prometheus.GaugeValue, float64(s.Entries), source)
			send(rememberedGauge, prometheus.GaugeValue, float64(s.Remembered), source)
			send(waitingGauge, prometheus.GaugeValue, float64(s.Waiting), source)
			send(mintingGauge, prometheus.GaugeValue, float64(s.Minting), source)
			for _, state := range []circuit.State{circuit.Closed, circuit.Open, circuit.HalfOpen} {
				send(breakerGauge, prometheus.GaugeValue, boolValue(s.Issuer.State == state), source, string(state))
			}
		}
		if s := p.state.tokens.Status(); s.Shared != nil {
			send(sharedUp, prometheus.GaugeValue, boolValue(s.Shared.Up))
			send(sharedFailures, prometheus.CounterValue, float64(s.Shared.Failures))
			send(sharedPending, prometheus.GaugeValue, float64(s.Shared.Pending))
		}
	}
}

// boolValue is 1 for true and 0 for false, as gauges have it.
func boolValue(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Interface guards
var _ prometheus.Collector = providerGauges(nil)
