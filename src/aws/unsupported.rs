//! Packer's options with no counterpart here, each with what to do instead.

use super::options::Options;

/// The options given that nothing can be made of: the key, and what to do.
pub fn unsupported(options: &Options) -> Vec<(&'static str, String)> {
    let keys = [
        (
            &options.mfa_code,
            "mfa_code",
            "give the credentials of a session that has passed MFA, such as a profile's with mfa_serial cached by the AWS CLI",
        ),
        (
            &options.vault_aws_engine,
            "vault_aws_engine",
            "let Vault fill in AWS_ACCESS_KEY_ID and its companions, or use credential_process in a profile",
        ),
        (
            &options.insecure_skip_tls_verify,
            "insecure_skip_tls_verify",
            "name the endpoint's certificate authority in SSL_CERT_FILE",
        ),
        (
            &options.decode_authorization_messages,
            "decode_authorization_messages",
            "decode the message with: aws sts decode-authorization-message",
        ),
    ];
    let given = keys.into_iter().filter(|(value, ..)| {
        value
            .as_ref()
            .is_some_and(|value| value.as_bool() != Some(false))
    });
    let refused =
        given.map(|(_, key, instead)| (key, format!("Packer's {key} is not supported: {instead}")));
    let transitive = options
        .assume_role
        .as_ref()
        .is_some_and(|role| role.transitive_tag_keys.is_some());
    let transitive = transitive.then(|| {
        (
            "assume_role",
            "transitive_tag_keys are not supported: nothing here assumes a second role".to_owned(),
        )
    });
    refused.chain(transitive).collect()
}
