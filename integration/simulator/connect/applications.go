// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// Application is what a developer registers in the console.
type Application struct {
	// ClientID and ClientSecret authenticate the application's server. Default
	// of [Platform.Register]: random ones.
	ClientID     string `json:"clientId"`
	ClientSecret string `json:"clientSecret"`
	Name         string `json:"name"`
	// Origins are those whose pages may open the widget. Default: any on
	// loopback.
	Origins []string `json:"origins,omitempty"`
	// FinishURLs are where the widget may lead to if it was opened as a page of
	// its own, beside pages of Origins and the pair that the vendor's SDKs watch
	// for: https://connect-token and https://connect-closed.
	FinishURLs []string `json:"finishUrls,omitempty"`
}

// applications are the registered ones, in order.
type applications struct {
	mu  sync.RWMutex
	all []Application
}

// Register adds an application and returns it with the ID and secret it got.
// The ID must be new.
func (p *Platform) Register(a Application) (Application, error) {
	if a.ClientID == "" {
		a.ClientID = "app-" + strings.ToLower(rand.Text())
	}
	if a.ClientSecret == "" {
		a.ClientSecret = "secret-" + strings.ToLower(rand.Text())
	}
	for _, origin := range a.Origins {
		if u, err := url.Parse(origin); err != nil || u.Scheme+"://"+u.Host != origin || u.Host == "" {
			return Application{}, fmt.Errorf("origin %q is no origin, such as https://app.example.org", origin)
		}
	}
	p.applications.mu.Lock()
	defer p.applications.mu.Unlock()
	if p.applications.index(a.ClientID) >= 0 {
		return Application{}, fmt.Errorf("application %s is there already", a.ClientID)
	}
	p.applications.all = append(p.applications.all, a)
	return a, nil
}

// SetClientSecret replaces an application's secret. Access tokens stay good.
func (p *Platform) SetClientSecret(clientID, secret string) error {
	p.applications.mu.Lock()
	defer p.applications.mu.Unlock()
	i := p.applications.index(clientID)
	if i < 0 {
		return errNoApplication
	}
	p.applications.all[i].ClientSecret = secret
	return nil
}

// Unregister removes an application. Its access tokens stay good.
func (p *Platform) Unregister(clientID string) {
	p.applications.mu.Lock()
	defer p.applications.mu.Unlock()
	if i := p.applications.index(clientID); i >= 0 {
		p.applications.all = slices.Delete(p.applications.all, i, i+1)
	}
}

// Applications returns the registered ones, with their secrets.
func (p *Platform) Applications() []Application {
	p.applications.mu.RLock()
	defer p.applications.mu.RUnlock()
	return slices.Clone(p.applications.all)
}

var errNoApplication = errors.New("there is no application of that client ID")

// index is where an application is, or -1. The caller holds the lock.
func (s *applications) index(clientID string) int {
	return slices.IndexFunc(s.all, func(a Application) bool { return a.ClientID == clientID })
}

// find returns an application by its ID.
func (s *applications) find(clientID string) (Application, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	i := s.index(clientID)
	if i < 0 {
		return Application{}, false
	}
	return s.all[i], true
}

// authenticate returns an application by its ID and secret.
func (s *applications) authenticate(clientID, secret string) (Application, bool) {
	a, ok := s.find(clientID)
	return a, ok && subtle.ConstantTimeCompare([]byte(secret), []byte(a.ClientSecret)) == 1
}

// allowsOrigin returns whether pages of an origin may open the widget.
func (a *Application) allowsOrigin(origin string) bool {
	if len(a.Origins) > 0 {
		return slices.Contains(a.Origins, origin)
	}
	u, err := url.Parse(origin)
	return err == nil && u.Scheme+"://"+u.Host == origin && (u.Hostname() == "localhost" || u.Hostname() == "127.0.0.1")
}

// vendorURLs are addresses that nobody serves: the vendor's SDKs take the
// token out of a web view that is about to open them.
var vendorURLs = []string{"https://connect-token", "https://connect-closed"}

// allowsFinishURL returns whether the widget may lead to an address.
func (a *Application) allowsFinishURL(address string) bool {
	if slices.Contains(vendorURLs, strings.TrimSuffix(address, "/")) || slices.Contains(a.FinishURLs, address) {
		return true
	}
	u, err := url.Parse(address)
	return err == nil && u.User == nil && a.allowsOrigin(u.Scheme+"://"+u.Host)
}

// ancestors are the origins that may frame the widget, as CSP spells them.
func (a *Application) ancestors() string {
	if len(a.Origins) > 0 {
		return strings.Join(a.Origins, " ")
	}
	return "http://localhost:* http://127.0.0.1:* https://localhost:* https://127.0.0.1:*"
}
