// SPDX-License-Identifier: Apache-2.0

package main

import "net/http"

// serveSwitches adds what "Watch the token engine work" asks for. Whoever may
// open the page may press: the switches are everybody's.
//
//	GET  /demo/engine              the switches, and what Caddy and the platform count
//	POST /demo/switch/{name}/{on}  on or off: issuer-down, short-tokens or carol
//	POST /demo/drop                has Caddy forget every token
//	POST /demo/crowd               sends 1 000 clients and answers with what they met
func (d *demo) serveSwitches() {
	app := d.stack.App
	app.Handle("GET /demo/engine", guarded(http.HandlerFunc(d.engine)))
	app.Handle("POST /demo/switch/{name}/{on}", guarded(http.HandlerFunc(d.flip)))
	app.Handle("POST /demo/drop", guarded(http.HandlerFunc(d.drop)))
	app.Handle("POST /demo/crowd", guarded(http.HandlerFunc(d.sendCrowd)))
}

// engineState is all that the section shows.
type engineState struct {
	Caddy   counters     `json:"caddy"`
	Issuer  issuerState  `json:"issuer"`
	Carol   regularState `json:"carol"`
	Running bool         `json:"running"` // the crowd is on its way
	Latest  *crowdResult `json:"latest"`  // what came of it last; null: it was never sent
}

func (d *demo) engine(w http.ResponseWriter, r *http.Request) {
	c, err := d.admin.counters(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	state := engineState{Caddy: c, Issuer: d.issuer.state(), Carol: d.carol.state()}
	state.Running, state.Latest = d.crowd.state()
	answer(w, state)
}

func (d *demo) flip(w http.ResponseWriter, r *http.Request) {
	set := map[string]func(bool){
		"issuer-down":  d.issuer.setDown,
		"short-tokens": d.issuer.setShort,
		"carol":        d.carol.set,
	}[r.PathValue("name")]
	on := r.PathValue("on")
	if set == nil || on != "on" && on != "off" {
		http.Error(w, "there is no such switch, or it cannot be switched like that", http.StatusNotFound)
		return
	}
	set(on == "on")
	w.WriteHeader(http.StatusNoContent)
}

func (d *demo) drop(w http.ResponseWriter, r *http.Request) {
	if err := d.admin.drop(r.Context()); err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	d.issuer.forgetLifetime()
	w.WriteHeader(http.StatusNoContent)
}

func (d *demo) sendCrowd(w http.ResponseWriter, _ *http.Request) {
	// Whoever has sent them and leaves does not call them back.
	result := d.crowd.send(d.ctx)
	if result == nil {
		http.Error(w, "they are on their way already", http.StatusConflict)
		return
	}
	answer(w, result)
}
