#pragma once

#include <tests/contract/token_kind.hpp>

/// What every token must live through. A scenario fails by an exception.
namespace ctlsign::testing::contract {

void sign(TokenKind& kind);
void sign_with_each_digest(TokenKind& kind);
void wrong_pin(TokenKind& kind);
void final_try_kept(TokenKind& kind);
void locked(TokenKind& kind);
void two_processes_sign(TokenKind& kind);
void two_processes_log_in(TokenKind& kind);
void fork_in_the_middle(TokenKind& kind);
void pulled_before(TokenKind& kind);
void pulled_during(TokenKind& kind);
void pulled_after(TokenKind& kind);
void out_for_20_ms(TokenKind& kind);
void out_for_5_s(TokenKind& kind);
void another_reader(TokenKind& kind);
void another_token(TokenKind& kind);
void module_hangs(TokenKind& kind);
void module_dies(TokenKind& kind);
void daemon_restarted(TokenKind& kind);

}  // namespace ctlsign::testing::contract
